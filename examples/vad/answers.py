#!/usr/bin/env python3
"""Writes recording.wav, and what the package silero-vad (6.2.3) answers about it: probabilities.txt and segments.tsv.

    pip download --no-deps silero-vad==6.2.3 && unzip silero_vad-*.whl -d x
    apt install espeak-ng && PYTHONPATH=x python3 answers.py        # needs numpy and onnxruntime

The probabilities are ONNX Runtime's with the package's model, fed as the package's OnnxWrapper does; the stretches of speech are from the
package's own get_speech_timestamps_from_probs. PyTorch is not needed: the function uses nothing of it, so a stand-in satisfies the import.
"""

import subprocess
import sys
import types
import wave
from pathlib import Path

import numpy as np
import onnxruntime

HERE = Path(__file__).parent
RATE, WINDOW, CONTEXT = 16000, 512, 64
SENTENCES = ["The quick brown fox jumps over the lazy dog.", "Models become binaries.", "Good morning."]
PAUSES = [0.7, 1.2, 0.25, 0.8]


def stand_in():
    torch = types.ModuleType("torch")
    torch.Tensor, torch.device = object, lambda name: name
    torch.no_grad = lambda: lambda function: function
    torch.set_num_threads = lambda number: None
    torch.hub = None
    sys.modules.setdefault("torch", torch)


def spoken(text):
    """A sentence by espeak-ng, at 16000 samples a second."""
    raw = subprocess.run(["espeak-ng", "-v", "en", "-s", "140", "--stdout", text], check=True, capture_output=True).stdout
    samples = np.frombuffer(raw[44:], "<i2").astype(np.float64)
    at = np.arange(int(len(samples) * RATE / 22050)) * 22050 / RATE
    return np.interp(at, np.arange(len(samples)), samples) * 0.6


def record(path):
    """Sentences with pauses, over faint noise and with a hum in the first pause."""
    parts = [np.zeros(int(PAUSES[0] * RATE))]
    for sentence, pause in zip(SENTENCES, PAUSES[1:]):
        parts += [spoken(sentence), np.zeros(int(pause * RATE))]
    sound = np.concatenate(parts)
    sound += np.random.default_rng(1).normal(0, 40, len(sound)) + 200 * np.sin(2 * np.pi * 50 / RATE * np.arange(len(sound)))
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(np.clip(sound, -32768, 32767).astype("<i2").tobytes())


def main():
    stand_in()
    from silero_vad import utils_vad

    if not (HERE / "recording.wav").exists():
        record(HERE / "recording.wav")
    with wave.open(str(HERE / "recording.wav")) as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
    session = onnxruntime.InferenceSession(Path(utils_vad.__file__).parent / "data/silero_vad.onnx")
    state, context = np.zeros((2, 1, 128), np.float32), np.zeros(CONTEXT, np.float32)
    probabilities = []
    for start in range(0, len(sound), WINDOW):
        window = np.resize(np.append(sound[start : start + WINDOW], np.zeros(WINDOW, np.float32)), WINDOW)
        x = np.concatenate([context, window])[None]
        out, state = session.run(None, {"input": x, "state": state, "sr": np.array(RATE, np.int64)})
        probabilities.append(float(out[0, 0]))
        context = x[0, -CONTEXT:]
    segments = utils_vad.get_speech_timestamps_from_probs(probabilities, sampling_rate=RATE, audio_length_samples=len(sound))
    (HERE / "probabilities.txt").write_text("".join(f"{p:.6f}\n" for p in probabilities))
    (HERE / "segments.tsv").write_text("".join(f"{s['start']}\t{s['end']}\n" for s in segments))


if __name__ == "__main__":
    main()
