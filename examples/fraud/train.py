#!/usr/bin/env python3
"""Trains the gradient boosting of this example and writes what the example needs.

    python3 train.py            # needs numpy, lightgbm, onnxmltools; takes seconds

The payments are invented, seeded. Writes models/fraud.onnx, payments.csv (payments that the model never saw) and answers.csv (what LightGBM
itself says of them).
"""

from pathlib import Path

import numpy as np
from lightgbm import LGBMClassifier
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

HERE = Path(__file__).parent
SEEN, UNSEEN = 40_000, 200
COLUMNS = ["amount", "hour", "age_days", "distance_km", "tries", "last_hour", "last_day", "mean_amount", "abroad", "online", "new_device", "risk"]


def payments(rng, n):
    """A table of n payments, and which are fraud. Some values are missing (NaN)."""
    mean = rng.lognormal(3.3, 0.7, n)
    amount = mean * rng.lognormal(0, 0.9, n)
    hour, age = rng.uniform(0, 24, n), rng.exponential(700, n)
    distance, tries = rng.exponential(40, n), 1 + rng.poisson(0.2, n)
    hourly, daily = rng.poisson(0.4, n), rng.poisson(3, n)
    abroad, online, device = (rng.random((3, n)) < np.array([[0.06], [0.5], [0.1]])).astype(float)
    risk = rng.beta(2, 8, n)
    odds = (
        0.9 * np.log(amount / mean) + 0.012 * distance * abroad + 1.2 * (tries > 1) + 0.9 * (hourly > 2) + 1.5 * device * online
        + 1.1 * (hour < 5) + 5 * risk * (age < 90) - 3.4
    )
    x = np.stack([amount, hour, age, distance, tries, hourly, daily, mean, abroad, online, device, risk], 1).astype(np.float32)
    fraud = rng.random(n) < 1 / (1 + np.exp(-odds))
    x[rng.random(n) < 0.05, 3] = np.nan
    return x, fraud.astype(np.int64)


def main():
    rng = np.random.default_rng(5)
    x, y = payments(rng, SEEN)
    model = LGBMClassifier(n_estimators=100, num_leaves=16, random_state=0, n_jobs=1, verbose=-1).fit(x, y)
    onnx = convert_lightgbm(model, "fraud", [("payment", FloatTensorType([None, len(COLUMNS)]))], zipmap=False, target_opset=15)
    (HERE / "models").mkdir(exist_ok=True)
    (HERE / "models" / "fraud.onnx").write_bytes(onnx.SerializeToString())
    x, y = payments(rng, UNSEEN)
    lines = [",".join(COLUMNS)] + [",".join("" if np.isnan(v) else f"{v:.6g}" for v in row) for row in x]
    (HERE / "payments.csv").write_text("\n".join(lines) + "\n")
    # What was written, not what it was rounded from.
    x = np.array([[float(v or "nan") for v in line.split(",")] for line in lines[1:]], np.float32)
    said, likely = model.predict(x), model.predict_proba(x)[:, 1]
    answers = ["label,fraud"] + [f"{s},{p:.6f}" for s, p in zip(said, likely)]
    (HERE / "answers.csv").write_text("\n".join(answers) + "\n")
    print(f"{(said == y).mean():.1%} of {UNSEEN} unseen payments right; {y.sum()} are fraud, {said.sum()} are said to be")


if __name__ == "__main__":
    main()
