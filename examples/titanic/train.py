#!/usr/bin/env python3
"""Trains the pipeline of this example and writes what the example needs.

    python3 train.py            # needs numpy, pandas, scikit-learn, skl2onnx; takes seconds

The passengers are invented: drawn from distributions like those of the ship's list, seeded. Writes models/titanic.onnx (imputing, scaling, one-hot
encoding and a logistic regression, one input for each column), passengers.csv (passengers that the model never saw) and answers.csv (what
scikit-learn itself says of them).
"""

from pathlib import Path

import numpy as np
import pandas as pd
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

HERE = Path(__file__).parent
SEEN, UNSEEN = 1200, 109
TYPES = {
    "pclass": StringTensorType,
    "sex": StringTensorType,
    "age": FloatTensorType,
    "sibsp": Int64TensorType,
    "parch": Int64TensorType,
    "fare": FloatTensorType,
    "embarked": StringTensorType,
}


def passengers(rng, n):
    """A table of n passengers, and whether each survived."""
    pclass = rng.choice(["first", "second", "third"], n, p=[0.25, 0.21, 0.54])
    sex = rng.choice(["female", "male"], n, p=[0.36, 0.64])
    age = np.clip(rng.gamma(4.5, 6.6, n), 0.5, 76).round(1)
    sibsp, parch = rng.poisson(0.5, n), rng.poisson(0.38, n)
    fare = np.select([pclass == "first", pclass == "second"], [rng.gamma(2, 42, n), rng.gamma(3, 7, n)], rng.gamma(3, 4.4, n)).round(2)
    embarked = rng.choice(["C", "Q", "S"], n, p=[0.21, 0.09, 0.70])
    odds = 2.6 * (sex == "female") + 1.1 * (pclass == "first") - 0.9 * (pclass == "third") - 0.03 * age - 0.3 * sibsp + 0.3 * (embarked == "C") - 0.3
    survived = rng.random(n) < 1 / (1 + np.exp(-odds))
    age[rng.random(n) < 0.2] = np.nan
    embarked[rng.random(n) < 0.01] = ""
    table = pd.DataFrame(
        dict(
            pclass=pclass, sex=sex, age=age.astype(np.float32), sibsp=sibsp, parch=parch, fare=fare.astype(np.float32), embarked=embarked
        )
    )
    return table, np.where(survived, "survived", "lost")


def main():
    rng = np.random.default_rng(1912)
    table, fate = passengers(rng, SEEN)
    numbers, words = ["age", "sibsp", "parch", "fare"], ["pclass", "sex", "embarked"]
    prepare = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            ("words", OneHotEncoder(handle_unknown="ignore"), words),
        ]
    )
    pipeline = make_pipeline(prepare, LogisticRegression(max_iter=1000)).fit(table, fate)
    inputs = [(name, kind([None, 1])) for name, kind in TYPES.items()]
    model = convert_sklearn(pipeline, "titanic", inputs, target_opset={"": 21, "ai.onnx.ml": 3})
    (HERE / "models").mkdir(exist_ok=True)
    (HERE / "models" / "titanic.onnx").write_bytes(model.SerializeToString())
    unseen, truth = passengers(rng, UNSEEN)
    # A port that the pipeline has never heard of.
    unseen.loc[3, "embarked"] = "Belfast"
    unseen.to_csv(HERE / "passengers.csv", index=False)
    said, likely = pipeline.predict(unseen), pipeline.predict_proba(unseen)[:, list(pipeline.classes_).index("survived")]
    pd.DataFrame(dict(label=said, survived=likely)).to_csv(HERE / "answers.csv", index=False, float_format="%.6f")
    print(f"{(said == truth).mean():.1%} of {UNSEEN} unseen passengers right")


if __name__ == "__main__":
    main()
