"""Runs of a small watched training in a minute: each Python started anew, or forked.

    python bench/warm_start.py [--runs 6]

Cold and forked runs take turns, on one core each; processor time is told beside the clock, as it
does not depend on what else the machine does.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from unstuck.trials.warm import Warm
from unstuck.watcher.launch import environment

SCRIPT = """
import torch
from torch import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
optimizer = torch.optim.Adam(model.parameters())
for step in range(1000):
    x = torch.randn(64, 64)
    loss = nn.functional.cross_entropy(model(x), x[:, :10].argmax(1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(float(loss.detach()))
"""
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def cold(words: list[str], env: dict[str, str], folder: Path) -> None:
    subprocess.run(words, env=env, cwd=folder, stdout=subprocess.DEVNULL, check=True)


def forked(words: list[str], env: dict[str, str], folder: Path, warm: Warm) -> None:
    with (folder / "out").open("wb") as out:
        run = warm.start(words, env, folder, out, out)
    if run is None or run.wait() != 0:
        raise SystemExit("the run was not forked, or failed")


def processor(folder: Path, pid: int) -> float:
    """Processor seconds of the children of a process that have ended."""
    fields = (folder / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=6)
    options = parser.parse_args()
    os.environ.update(dict.fromkeys(THREADS, "1"), PYTHONHASHSEED="0")
    took: dict[str, list[tuple[float, float]]] = {"cold": [], "forked": []}
    with tempfile.TemporaryDirectory() as name, Warm() as warm:
        folder = Path(name)
        (folder / "train.py").write_text(SCRIPT)
        words = [sys.executable, "train.py"]
        began = time.monotonic()
        forked(words, environment(folder / "first"), folder, warm)
        print(f"first forked run, with what it forks from: {time.monotonic() - began:.2f} s")
        assert warm.process is not None
        for number in range(options.runs):
            for kind in took:
                parent = os.getpid() if kind == "cold" else warm.process
                env = environment(folder / f"{kind}-{number}")
                began, before = time.monotonic(), processor(Path("/proc"), parent)
                if kind == "cold":
                    cold(words, env, folder)
                else:
                    forked(words, env, folder, warm)
                used = processor(Path("/proc"), parent) - before
                took[kind].append((time.monotonic() - began, used))
    for kind, runs in took.items():
        seconds, used = (statistics.median(column) for column in zip(*runs, strict=True))
        print(
            f"{kind:7} {seconds:5.2f} s a run, {60 / seconds:5.1f} a minute; "
            f"{used:.2f} s of a processor, {60 / used:5.1f} a minute of one core"
        )


if __name__ == "__main__":
    main()
