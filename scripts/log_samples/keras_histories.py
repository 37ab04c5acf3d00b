"""Samples of Keras: its history as JSON, its CSVLogger, and what it prints.

    python scripts/log_samples/keras_histories.py

Needs keras and torch (as its backend). Into tests/logs/keras-history, csv-table and text-log.
"""

import contextlib
import io
import json
import os
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"
import keras
import numpy as np

LOGS = Path(__file__).resolve().parents[2] / "tests" / "logs"


def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    net = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1, activation="sigmoid")])
    net.compile(keras.optimizers.SGD(0.5), "binary_crossentropy", metrics=["accuracy"])
    return net


def main() -> None:
    for name in ("keras-history", "csv-table", "text-log"):
        (LOGS / name).mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    x = random.normal(size=(384, 8)).astype("float32")
    y = (x.sum(1) > 0).astype("float32")
    plateau = keras.callbacks.ReduceLROnPlateau(patience=2, min_delta=0.01)
    printed = io.StringIO()
    for name, later in (("keras", [plateau]), ("keras-other-columns", [])):
        file = LOGS / "csv-table" / f"{name}.csv"
        with contextlib.redirect_stdout(printed if later else io.StringIO()):
            net = model()
            first = net.fit(
                x[:256], y[:256], batch_size=16, epochs=12, validation_data=(x[256:], y[256:]),
                callbacks=[plateau, keras.callbacks.CSVLogger(str(file))], verbose=1,
            )  # fmt: skip
            net.fit(  # stopped and begun anew at epoch 9, into the same file
                x[:256], y[:256], batch_size=16, epochs=16, initial_epoch=9, verbose=2,
                validation_data=(x[256:], y[256:]),
                callbacks=[*later, keras.callbacks.CSVLogger(str(file), append=True)],
            )  # fmt: skip
    (LOGS / "text-log" / "keras.log").write_text(printed.getvalue(), newline="")
    history = {name: [float(v) for v in values] for name, values in first.history.items()}
    (LOGS / "keras-history" / "history.json").write_text(json.dumps(history))


if __name__ == "__main__":
    main()
