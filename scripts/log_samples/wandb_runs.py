"""Samples of Weights & Biases' offline runs, into tests/logs/wandb-run.

    python scripts/log_samples/wandb_runs.py
    python scripts/log_samples/wandb_runs.py --expected     (with wandb==0.19.11)

Needs wandb and numpy. Each sample is a logistic regression on random numbers. The second command
writes tests/unit/wandb_expected.json: what W&B's own reader, which newer versions no longer have in
Python, finds in the samples.
"""

import argparse
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "tests" / "logs" / "wandb-run"
EXPECTED = ROOT / "tests" / "unit" / "wandb_expected.json"
CONFIG = {"lr": 0.5, "optimizer": {"name": "sgd", "momentum": 0.0}, "layers": [8, 1], "seed": 0}


def training(steps: int) -> Iterator[tuple[int, float, float, float]]:
    """Logistic regression by gradient descent: step, losses, accuracy."""
    random = np.random.default_rng(0)
    truth, weight = random.normal(size=8), np.zeros(8)
    x, held = random.normal(size=(256, 8)), random.normal(size=(128, 8))
    for step in range(steps):
        batch = x[random.integers(256, size=16)]
        error = 1 / (1 + np.exp(-batch @ weight)) - (batch @ truth > 0)
        weight -= CONFIG["lr"] * batch.T @ error / 16
        losses = [
            float(np.mean(np.log1p(np.exp(-np.where(part @ truth > 0, 1, -1) * (part @ weight)))))
            for part in (batch, held)
        ]
        yield step, *losses, float(np.mean((held @ weight > 0) == (held @ truth > 0)))


def offline(run) -> None:
    """Nested names, a NaN, text, a histogram, a step that is skipped, settings added later."""
    import wandb

    for step, loss, val_loss, accuracy in training(90):
        row = {"train/loss": loss, "val": {"loss": val_loss, "accuracy": accuracy}}
        if step == 7:
            row |= {"odd": math.nan, "note": "text", "weights": wandb.Histogram([1, 2, 2, 3])}
        run.log(row)
    run.log({"train/loss": 0.05}, step=120)
    run.config.update({"batch_size": 16})


def own_steps(run) -> None:
    """A trainer that logs its own step, and validation in calls of their own."""
    for step, loss, val_loss, _ in training(200):
        if step % 5 == 0:
            run.log({"train/loss": loss, "trainer/global_step": step})
        if step % 25 == 0:
            run.log({"val/loss": val_loss, "trainer/global_step": step})


def killed(run) -> None:
    for _, loss, val_loss, _ in training(40):
        run.log({"train/loss": loss, "val/loss": val_loss})


def recorded(name: str, log) -> None:
    import wandb

    settings = wandb.Settings(
        mode="offline", silent=True, console="off", host="host", disable_git=True,
        disable_code=True, x_disable_stats=True, x_disable_meta=True,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        with wandb.init(project="samples", name=name, id=name, dir=folder, config=CONFIG,
                        settings=settings) as run:  # fmt: skip
            log(run)
        (file,) = Path(folder).rglob("*.wandb")
        target = OUT / name / f"offline-run-20260101_000000-{name}" / file.name
        if (OUT / name).exists():
            shutil.rmtree(OUT / name)
        target.parent.mkdir(parents=True)
        shutil.copy(file, target)
        if name == "killed":
            os.truncate(target, target.stat().st_size * 2 // 3)


def as_wandb_reads(file: Path) -> dict:
    """Of each number logged: the steps, and the sum of its values, as W&B's own reader has them."""
    from wandb.proto import wandb_internal_pb2
    from wandb.sdk.internal.datastore import DataStore

    store, found = DataStore(), {}
    store.open_for_scan(str(file))
    while True:
        try:
            data = store.scan_data()
        except AssertionError:  # a record that is cut off
            break
        if data is None:
            break
        record = wandb_internal_pb2.Record.FromString(data)
        row = {
            ".".join(item.nested_key or [item.key]): json.loads(item.value_json)
            for item in record.history.item
        }
        for name, value in row.items():
            if isinstance(value, int | float):
                found.setdefault(name, []).append((record.history.step.num, value))
    return {
        name: [[step for step, _ in rows], sum(value for _, value in rows)]
        for name, rows in sorted(found.items())
        if name not in ("_step", "_runtime")
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--expected", action="store_true")
    if parser.parse_args().expected:
        told = {file.stem: as_wandb_reads(file) for file in sorted(OUT.rglob("*.wandb"))}
        EXPECTED.write_text(json.dumps(told) + "\n")
        return
    for name, log in (("offline", offline), ("own-steps", own_steps), ("killed", killed)):
        recorded(name, log)


if __name__ == "__main__":
    main()
