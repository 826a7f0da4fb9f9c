#!/usr/bin/env python3
"""Tabular models of the benchmark that the peers' `gen_models.py` lacks: CatBoost of 100 and 1,000 oblivious trees, RandomForest of 1,000 trees, a
support vector machine, nearest neighbours, a scaler and a logistic regression, at 1, 100 and 10,000 rows; and `trees/NAME.onnx` of every one with
rows that only the run knows, which `onnxc bench --build-only` compiles once for all of them. The same data as there.
usage: tabular.py MODELS_DIR"""
import os, sys
import numpy as np, onnx, onnxruntime as ort
from onnx import TensorProto as T
from sklearn.datasets import make_classification

OUT = sys.argv[1]
ROWS = (1, 100, 10000)
DTYPES = {"tensor(float)": "f32", "tensor(int64)": "i64"}
X, y = make_classification(20000, 28, n_informative=16, random_state=1)
X = X.astype(np.float32)


def dump(folder, named):
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/manifest", "w") as manifest:
        for i, (name, dtype, a) in enumerate(named):
            np.ascontiguousarray(a).tofile(f"{folder}/{i}.bin")
            print(name, dtype, ",".join(map(str, a.shape)), f"{i}.bin", sep="\t", file=manifest)


def with_rows(model, rows):
    """The model with a number of rows, or a name for it."""
    m = onnx.ModelProto()
    m.CopyFrom(model)
    del m.graph.value_info[:]
    for v, width in [(m.graph.input[0], 28)] + [(o, 2 if o.type.tensor_type.elem_type == T.FLOAT else None) for o in m.graph.output]:
        dims = v.type.tensor_type.shape
        del dims.dim[:]
        d = dims.dim.add()
        if isinstance(rows, int): d.dim_value = rows
        else: d.dim_param = rows
        if width: dims.dim.add().dim_value = width
    return m


def without_zipmap(model):
    """Probabilities as the tensor that a ZipMap makes maps of."""
    zipmap = next((n for n in model.graph.node if n.op_type == "ZipMap"), None)
    if zipmap:
        out = next(o for o in model.graph.output if o.name == zipmap.output[0])
        out.CopyFrom(onnx.helper.make_tensor_value_info(zipmap.input[0], T.FLOAT, [None, 2]))
        model.graph.node.remove(zipmap)
    return model


def emit(name, model):
    for rows in ROWS:
        path = f"{OUT}/{name}_r{rows}"
        onnx.save(with_rows(model, rows), f"{path}.onnx")
        session = ort.InferenceSession(f"{path}.onnx", providers=["CPUExecutionProvider"])
        feed = {session.get_inputs()[0].name: X[:rows]}
        dump(f"{path}.in", [(n, "f32", a) for n, a in feed.items()])
        dump(f"{path}.ref", [(o.name, DTYPES[o.type], a) for o, a in zip(session.get_outputs(), session.run(None, feed))])


def others():
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC
    from skl2onnx import to_onnx
    few, labels = X[:3000], y[:3000]
    for name, model, more in [
        ("svc", SVC(gamma=.01), {}),
        ("knn", KNeighborsClassifier(), {"optim": "cdist"}),
        ("logistic", make_pipeline(StandardScaler(), LogisticRegression()), {}),
    ]:
        if os.path.exists(f"{OUT}/{name}_r10000.onnx"): continue
        model.fit(few, labels)
        opsets = {"": 15, "ai.onnx.ml": 3, **({"com.microsoft": 1} if more else {})}
        emit(name, to_onnx(model, few[:1], options={id(model): {"zipmap": False, **more}}, target_opset=opsets))


def main():
    os.makedirs(f"{OUT}/trees", exist_ok=True)
    for n in (100, 1000):
        if os.path.exists(f"{OUT}/cat{n}_r10000.onnx"): continue
        import catboost
        c = catboost.CatBoostClassifier(iterations=n, depth=6, learning_rate=.05, thread_count=2, verbose=False, allow_writing_files=False).fit(X, y)
        c.save_model(f"{OUT}/trees/_cat.onnx", format="onnx")
        emit(f"cat{n}", without_zipmap(onnx.load(f"{OUT}/trees/_cat.onnx")))
        os.remove(f"{OUT}/trees/_cat.onnx")
    if not os.path.exists(f"{OUT}/rf1000_r10000.onnx"):
        from sklearn.ensemble import RandomForestClassifier
        from skl2onnx import to_onnx
        c = RandomForestClassifier(1000, max_depth=12, n_jobs=2, random_state=1).fit(X, y)
        emit("rf1000", to_onnx(c, X[:1], options={id(c): {"zipmap": False}}, target_opset=15))
    others()
    for name in sorted({f.split("_")[0] for f in os.listdir(OUT) if f.endswith("_r1.onnx")}):
        onnx.save(with_rows(onnx.load(f"{OUT}/{name}_r1.onnx"), "N"), f"{OUT}/trees/{name}.onnx")


main()
