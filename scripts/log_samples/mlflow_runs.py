"""Samples of MLflow's file store and of its database, into tests/logs/mlflow-store.

    python scripts/log_samples/mlflow_runs.py

Needs mlflow and numpy. Each run is a logistic regression on random numbers. Paths and users are
taken out afterwards, and the database is written anew in small pages (`VACUUM`): its rows and its
schema stay. What MLflow itself reads in both goes to tests/unit/mlflow_expected.json.
"""

import json
import math
import os
import shutil
import sqlite3
import tempfile
from pathlib import Path

os.environ |= {"LOGNAME": "someone", "MLFLOW_ALLOW_FILE_STORE": "true"}

import mlflow
import numpy as np
from mlflow.tracking import MlflowClient

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "tests" / "logs" / "mlflow-store"
EXPECTED = ROOT / "tests" / "unit" / "mlflow_expected.json"


def trained(lr: float, steps: int, seed: int) -> None:
    """Logistic regression by gradient descent, logged as it goes."""
    random = np.random.default_rng(seed)
    truth, weight = random.normal(size=8), np.zeros(8)
    x, held = random.normal(size=(256, 8)), random.normal(size=(128, 8))
    for step in range(steps):
        batch = x[random.integers(256, size=16)]
        error = 1 / (1 + np.exp(-batch @ weight)) - (batch @ truth > 0)
        weight -= lr * batch.T @ error / 16
        margin = np.where(held @ truth > 0, 1, -1) * (held @ weight)
        mlflow.log_metric("train/loss", float(np.mean(error**2)), step=step)
        if step % 10 == 0:
            mlflow.log_metric("val_loss", float(np.mean(np.log1p(np.exp(-margin)))), step=step)
            mlflow.log_metric("val_accuracy", float(np.mean(margin > 0)), step=step)


def logged(uri: str) -> None:
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("signs")
    for name, lr, steps in (("slow", 0.05, 60), ("fast", 0.5, 60)):
        with mlflow.start_run(run_name=name):
            mlflow.log_params({"lr": lr, "optimizer": "sgd", "nesterov": False, "model/width": 8})
            trained(lr, steps, seed=0)
            if name == "fast":
                mlflow.log_metric("odd", math.nan, step=1)
                mlflow.log_metric("odd", -math.inf, step=2)
    with mlflow.start_run(run_name="fast"):  # once more, resumed from step 20
        trained(0.5, 40, seed=1)
        for step in range(20, 50):
            mlflow.log_metric("train/loss", 0.01 * step, step=step)
    with mlflow.start_run(run_name="nothing"):
        mlflow.log_param("lr", 1.0)
    with mlflow.start_run(run_name="thrown-away") as run:
        mlflow.log_metric("loss", 1.0, step=1)
    MlflowClient().delete_run(run.info.run_id)


def as_mlflow_reads(uri: str) -> dict:
    """Of each run's metrics: how many readings, the sum of their steps, values and timestamps."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("signs").experiment_id
    told = {}
    for run in client.search_runs([experiment]):
        for key in run.data.metrics:
            history = client.get_metric_history(run.info.run_id, key)
            name = f"{run.info.run_name} {run.data.params.get('lr', '')}".strip()
            told.setdefault(name, {})[key] = [
                len(history),
                sum(m.step for m in history),
                sum(m.value for m in history),
                sum(m.timestamp for m in history),
            ]
    return told


def main() -> None:
    if OUT.exists():
        shutil.rmtree(OUT)
    OUT.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.chdir(folder)
        uris = {"files": f"file://{folder}/mlruns", "database": f"sqlite:///{folder}/mlflow.db"}
        for uri in uris.values():
            logged(uri)
        EXPECTED.write_text(json.dumps({k: as_mlflow_reads(u) for k, u in uris.items()}) + "\n")
        cleaned_files(folder)
        cleaned_database(folder)


def cleaned_files(folder: Path) -> None:
    shutil.copytree(folder / "mlruns", OUT / "files" / "mlruns")
    for file in (OUT / "files").rglob("*"):
        if file.name in ("mlflow.source.name", "mlflow.user"):
            file.unlink()
        elif file.name == "meta.yaml":
            file.write_text(file.read_text().replace(f"file://{folder}", "file:///somewhere"))


def cleaned_database(folder: Path) -> None:
    target = OUT / "database" / "mlflow.db"
    target.parent.mkdir()
    connection = sqlite3.connect(folder / "mlflow.db", isolation_level=None)
    for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
        changed = f"replace({column}, '{folder}', '/somewhere')"
        connection.execute(f"UPDATE {table} SET {column} = {changed}")
    connection.execute("DELETE FROM tags WHERE key IN ('mlflow.source.name', 'mlflow.user')")
    connection.execute("PRAGMA page_size = 512")
    connection.execute("VACUUM INTO ?", (str(target),))
    connection.close()


if __name__ == "__main__":
    main()
