#!/usr/bin/env python3
"""Asks the package magika (1.0.3) what it thinks of samples/, and writes answers.tsv; writes src/labels.tsv too.

    pip install magika==1.0.3 && python3 answers.py

Samples that are not there yet are made first, with Python's own library.
"""

import bz2
import gzip
import io
import json
import lzma
import pickle
import sqlite3
import struct
import tarfile
import tempfile
import wave
import zipfile
from pathlib import Path

import magika

HERE = Path(__file__).parent
SAMPLES = HERE / "samples"
PACKAGE = Path(magika.__file__).parent

TEXTS = {
    "sums.py": '"""Sums."""\nimport sys\n\n\ndef total(lines):\n    return sum(int(line) for line in lines if line.strip())\n\n\n'
    'if __name__ == "__main__":\n    print(total(sys.stdin))\n',
    "hello.c": "#include <stdio.h>\n#include <stdlib.h>\n\nstatic int twice(int x) { return 2 * x; }\n\n"
    'int main(int argc, char **argv) {\n    for (int i = 1; i < argc; i++)\n        printf("%d\\n", twice(atoi(argv[i])));\n    return 0;\n}\n',
    "main.rs": "use std::collections::HashMap;\n\nfn main() {\n    let mut count: HashMap<char, usize> = HashMap::new();\n"
    '    for c in "mississippi".chars() {\n        *count.entry(c).or_default() += 1;\n    }\n    println!("{count:?}");\n}\n',
    "backup.sh": '#!/bin/sh\nset -eu\nfor f in "$@"; do\n  if [ -f "$f" ]; then\n    cp -p "$f" "$f.bak"\n  fi\ndone\n',
    "page.html": "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>A page</title></head>\n"
    "<body><h1>Hello</h1><p>A <a href=\"x.html\">link</a>.</p></body>\n</html>\n",
    "rivers.csv": "name,country,length_km\nNile,Egypt,6650\nAmazon,Brazil,6400\nYangtze,China,6300\nDanube,Romania,2850\nRhine,Germany,1230\n",
    "service.ini": "[server]\nhost = localhost\nport = 8080\n\n[log]\nlevel = info\nfile = /var/log/service.log\n",
    "crate.toml": '[package]\nname = "thing"\nversion = "0.1.0"\nedition = "2024"\n\n[dependencies]\nserde = { version = "1", features = ["derive"] }\n',
    "query.sql": "CREATE TABLE river (id INTEGER PRIMARY KEY, name TEXT NOT NULL, length REAL);\nINSERT INTO river VALUES (1, 'Nile', 6650);\n"
    "SELECT name, length FROM river WHERE length > 1000 ORDER BY length DESC LIMIT 10;\n",
    "note.xml": '<?xml version="1.0" encoding="UTF-8"?>\n<note date="2024-01-01"><to>Ann</to><from>Bo</from><body>Do not forget.</body></note>\n',
    "notes.md": "# Notes\n\nSome *emphasis* and a [link](https://example.org).\n\n- one\n- two\n\n```sh\nls -l\n```\n",
    "prose.txt": "It was a quiet morning by the river. The boats had gone out early, and the old man sat\non the wall and watched the gulls.\n",
    "query.js": "const fs = require('fs');\n\nfunction load(path) {\n  return JSON.parse(fs.readFileSync(path, 'utf8'));\n}\n\n"
    "module.exports = { load };\n",
    "odd.txt": "zq 17 ;; @@ 3 %% \\ x\n~~ {{ 9 }} !! qq\n",
    "tiny.txt": "hello\n",
    "empty.bin": "",
}


def binaries():
    """Small files of formats that Python can write."""
    text = ("All happy families are alike. " * 20).encode()
    yield "data.json", json.dumps({"rivers": [{"name": "Nile", "length": 6650}, {"name": "Rhine", "length": 1230}]}, indent=2).encode()
    yield "text.gz", gzip.compress(text, mtime=0)
    yield "text.bz2", bz2.compress(text)
    yield "text.xz", lzma.compress(text)
    yield "data.pickle", pickle.dumps({"a": list(range(50)), "b": "text"}, protocol=4)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as z:
        z.writestr(zipfile.ZipInfo("a/text.txt"), text)
    yield "text.zip", archive.getvalue()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as t:
        info = tarfile.TarInfo("text.txt")
        info.size = len(text)
        t.addfile(info, io.BytesIO(text))
    yield "text.tar", archive.getvalue()
    sound = io.BytesIO()
    with wave.open(sound, "wb") as w:
        w.setparams((1, 2, 8000, 0, "NONE", ""))
        w.writeframes(b"".join(struct.pack("<h", (i * 321) % 9000) for i in range(2000)))
    yield "tone.wav", sound.getvalue()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.sqlite"
        with sqlite3.connect(path) as db:
            db.execute("create table river (name text, length real)")
        db.close()
        yield "rivers.sqlite", path.read_bytes()
    yield "digit.png", (HERE / "../digits/images/three.png").read_bytes()
    yield "network.onnx", (HERE / "../digits/models/digits.onnx").read_bytes()
    yield "noise.bin", bytes((i * i * 7919 >> 5) & 255 for i in range(3000))


def main():
    SAMPLES.mkdir(exist_ok=True)
    for name, content in [*((n, t.encode()) for n, t in TEXTS.items()), *binaries()]:
        path = SAMPLES / name
        if not path.exists():
            path.write_bytes(content)
    config = json.loads((PACKAGE / "models/standard_v3_3/config.min.json").read_text())
    kinds = json.loads((PACKAGE / "config/content_types_kb.min.json").read_text())
    with open(HERE / "src/labels.tsv", "w") as file:
        for name in config["target_labels_space"]:
            output = config["overwrite_map"].get(name, name)
            text = "text" if kinds[output]["is_text"] else "binary"
            threshold = config["thresholds"].get(name, config["medium_confidence_threshold"])
            print(name, text, threshold, output, sep="\t", file=file)
    model = magika.Magika()
    with open(HERE / "answers.tsv", "w") as file:
        for path in sorted(SAMPLES.iterdir()):
            result = model.identify_path(path)
            print(path.name, result.output.label, f"{result.score:.4f}", sep="\t", file=file)


if __name__ == "__main__":
    main()
