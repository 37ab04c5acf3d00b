"""A directory of 1,000 runs of 1,000 points each, read and diagnosed by one command.

    .venv/bin/python bench/many_runs.py [--runs 1000] [--points 1000]

Prints seconds with one process and with all cores.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np


def write(folder: Path, runs: int, points: int) -> None:
    random = np.random.default_rng(0)
    step = np.arange(points) * 10
    for i in range(runs):
        fall = 0.2 + 2 * np.exp(-step / random.uniform(500, 3000))
        loss = fall + 0.05 * random.standard_normal(points)
        columns = [step, loss, fall * 1.1, np.full(points, 1e-3)]
        file = folder / f"group{i // 100}" / f"run{i}" / "metrics.csv"
        file.parent.mkdir(parents=True)
        np.savetxt(
            file, np.stack(columns, 1), "%.6g", ",", header="step,loss,val_loss,lr", comments=""
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--points", type=int, default=1000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        write(Path(name), options.runs, options.points)
        taken = {}
        for jobs in sorted({1, os.cpu_count() or 1}, reverse=True):
            words = [sys.executable, "-m", "unstuck", "diagnose", name, "--jobs", str(jobs)]
            began = time.perf_counter()
            done = subprocess.run(words, check=True, capture_output=True, text=True)
            taken[jobs] = time.perf_counter() - began
            print(f"{options.runs} runs x {options.points} points, {jobs} processes: ", end="")
            print(f"{taken[jobs]:.1f} s; {done.stdout.splitlines()[-1]}")
        most = max(taken)
        print(f"{taken[1] / taken[most]:.2f} x faster on {most} cores")


if __name__ == "__main__":
    main()
