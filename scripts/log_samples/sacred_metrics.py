"""Samples of Sacred: metrics.json and config.json of two runs.

    python scripts/log_samples/sacred_metrics.py

Needs sacred. Into tests/logs/sacred-metrics.
"""

import json
import shutil
import tempfile
from pathlib import Path

from regression import training
from sacred import Experiment
from sacred.observers import FileStorageObserver

LOGS = Path(__file__).resolve().parents[2] / "tests" / "logs" / "sacred-metrics"
KEPT = ("metrics.json", "config.json")


def record(folder: str, name: str, steps: int, every: int) -> None:
    experiment = Experiment("logistic", save_git_info=False)
    experiment.observers.append(FileStorageObserver(folder))
    experiment.add_config({"steps": steps, "optimizer": {"name": "sgd", "lr": 0.5}, "seed": 0})

    @experiment.main
    def train(_run):
        for r in training(steps):
            if r.step % every == 0:
                _run.log_scalar("training.loss", r.loss, r.step)
                _run.log_scalar("lr", r.lr, r.step)
            if r.step % (5 * every) == 0:
                _run.log_scalar("validation.loss", r.val_loss, r.step)
                _run.log_scalar("validation.accuracy", r.accuracy, r.step)

    experiment.run(options={"--loglevel": "ERROR"})
    newest = max((p for p in Path(folder).iterdir() if p.name.isdigit()), key=lambda p: int(p.name))
    (LOGS / name).mkdir(parents=True)
    for file in KEPT:
        value = json.loads((newest / file).read_text())
        (LOGS / name / file).write_text(json.dumps(value, indent=1, sort_keys=True) + "\n")


def main() -> None:
    shutil.rmtree(LOGS, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        record(folder, "every-second", 120, 2)
        record(folder, "every-fifth", 300, 5)


if __name__ == "__main__":
    main()
