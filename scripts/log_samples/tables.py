"""Samples of tables and of JSON lines, into tests/logs/{csv-table,json-lines,parquet-table}.

    python scripts/log_samples/tables.py

Needs pandas and pyarrow. What pandas, pyarrow, csv and json write is written by them. The exports
of Weights & Biases (`wandb-*`), the download of a TensorBoard chart and the padded table of YOLOv5
are laid out here as those programs do, which a script cannot make: a browser, a service and a
program of 2022.
"""

import csv
import json
from pathlib import Path

import numpy as np
import pandas
import pyarrow
from pyarrow import parquet
from regression import training

LOGS = Path(__file__).resolve().parents[2] / "tests" / "logs"
TABLES, LINES, PARQUET = (LOGS / name for name in ("csv-table", "json-lines", "parquet-table"))


def with_pandas() -> None:
    frame = pandas.DataFrame([vars(r) for r in training(120)])
    frame.to_csv(TABLES / "pandas.csv")
    frame.iloc[::-1].to_csv(TABLES / "newest-first.tsv", sep="\t", index=False)
    frame.iloc[:40].to_csv(
        TABLES / "german.csv", sep=";", decimal=",", index=False, encoding="utf-16"
    )
    seeds = [pandas.DataFrame(training(50, seed)).assign(seed=seed) for seed in range(3)]
    pandas.concat(seeds).to_csv(TABLES / "seeds.csv", index=False)
    long = frame.iloc[:40].melt(["step"], var_name="metric")
    long.sort_values(["step", "metric"]).to_csv(TABLES / "long.csv", index=False)
    frame.to_parquet(PARQUET / "pandas.parquet", index=False)
    pandas.concat(seeds).to_json(LINES / "seeds.jsonl", orient="records", lines=True)
    frame.to_json(LINES / "records.json", orient="records")


def by_hand() -> None:
    """A CSV writer that is given tensors, reopened by a restart that goes back and logs more."""
    import torch

    with (TABLES / "restarted.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", "batch", "train loss", "note"])
        for r in training(90):
            loss = torch.tensor(r.loss)
            writer.writerow([r.step // 20, r.step % 20, loss, "a, b" if r.step == 3 else ""])
        writer.writerow(["epoch", "batch", "train loss", "grad_norm", "note"])
        for r in training(120):
            if r.step >= 80:
                row = [r.step // 20, r.step % 20, f"{r.loss:.4f}", f"{r.accuracy:.3f}", ""]
                writer.writerow(row)
    whole = (TABLES / "restarted.csv").read_bytes()
    (TABLES / "killed.csv").write_bytes(whole[: whole.rindex(b",", 0, -20)])


def as_wandb() -> None:
    runs = {name: list(training(60, seed)) for name, seed in (("fast", 0), ("wide - 2", 1))}
    with (TABLES / "wandb-chart.csv").open("w", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        edges = ("", "__MIN", "__MAX")
        writer.writerow(["Step", *(f"{n} - train/loss{e}" for n in runs for e in edges)])
        for i in range(60):
            cells = [[v[i].loss] * 3 if i % 3 or n == "fast" else [""] * 3 for n, v in runs.items()]
            writer.writerow([i, *(c for cell in cells for c in cell)])
    rows = [
        {
            "_step": r.step, "_runtime": r.step * 0.25, "_timestamp": 1.7e9 + r.step * 0.25,
            "train/loss": r.loss, "val/loss": r.val_loss if r.step % 10 == 0 else None,
        }
        for r in training(100)
    ]  # fmt: skip
    pandas.DataFrame(rows).to_csv(TABLES / "wandb-history.csv", index=False)
    table = pyarrow.Table.from_pylist(rows)
    parquet.write_table(table, PARQUET / "wandb-history.parquet", row_group_size=32)
    with (TABLES / "run-first-tag-train_loss.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Wall time", "Step", "Value"])
        writer.writerows([1.7e9 + r.step, r.step, r.loss] for r in training(50))


def as_yolov5() -> None:
    folder = LOGS / "ultralytics-csv" / "padded"
    folder.mkdir(parents=True, exist_ok=True)
    names = ["epoch", "train/box_loss", "train/obj_loss", "metrics/mAP_0.5", "val/box_loss",
             "val/obj_loss", "x/lr0", "x/lr1"]  # fmt: skip
    with (folder / "results.csv").open("w") as file:
        file.write("".join(f"{n:>20s}," for n in names).rstrip(",") + "\n")
        for r in training(30):
            cells = (r.step, r.loss, r.loss / 2, r.accuracy, r.val_loss, r.val_loss / 2, r.lr, r.lr)
            file.write("".join(f"{c:20.5g}," for c in cells).rstrip(",") + "\n")
    (folder / "opt.yaml").write_text("epochs: 30\nhyp:\n  lr0: 0.5\n  momentum: 0.0\n")


def objects() -> None:
    """Nested objects, a NaN, an infinity, text; and one that a kill left without an end."""
    with (LINES / "nested.jsonl").open("w") as file:
        for r in training(80):
            row = {"iteration": r.step, "train": {"loss": r.loss if r.step != 40 else np.nan},
                   "lr": [r.lr], "phase": "warm-up" if r.step < 8 else "main"}  # fmt: skip
            if r.step % 10 == 9:
                row["val"] = {"loss": r.val_loss, "accuracy": r.accuracy, "worst": float("inf")}
            file.write(json.dumps(row) + "\n")
    whole = (LINES / "nested.jsonl").read_bytes()
    (LINES / "killed.jsonl").write_bytes(whole[:-30])
    with (LINES / "quoted.json").open("w") as file:
        for r in training(60):
            row = {"epoch": r.step // 20 + 1, "update": r.step / 20, "loss": f"{r.loss:.3f}",
                   "num_updates": str(r.step), "lr": f"{r.lr:.4g}", "wps": "1200.5"}  # fmt: skip
            file.write(json.dumps(row) + "\n")


def main() -> None:
    for folder in (TABLES, LINES, PARQUET):
        folder.mkdir(parents=True, exist_ok=True)
    with_pandas()
    by_hand()
    as_wandb()
    as_yolov5()
    objects()


if __name__ == "__main__":
    main()
