"""How long the command takes to start: `unstuck diagnose` of a small CSV, process and all.

    .venv-light/bin/python bench/start.py      (`make bench`)

Prints the median and the spread of several runs, and as a ratio to a Python that imports numpy.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPEATS = 15


def seconds(words: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.csv"
        rows = [f"{t},{2.3 / (1 + t / 50):.4f},{2.4 / (1 + t / 60):.4f}" for t in range(1000)]
        log.write_text("\n".join(["step,loss,val_loss", *rows]) + "\n")
        jobs = {
            "import numpy": [sys.executable, "-c", "import numpy"],
            "import unstuck": [sys.executable, "-c", "import unstuck"],
            "unstuck diagnose log.csv": [sys.executable, "-m", "unstuck", "diagnose", str(log)],
        }
        for words in jobs.values():
            seconds(words)  # the first one fills the caches
        taken = {name: [] for name in jobs}  # type: dict[str, list[float]]
        for _ in range(REPEATS):
            for name, words in jobs.items():
                taken[name].append(seconds(words))
    base = statistics.median(taken["import numpy"])
    for name, times in taken.items():
        middle = statistics.median(times)
        print(
            f"{name:26} {middle:.3f} s ({min(times):.3f} to {max(times):.3f}), "
            f"{middle / base:.1f} x import numpy"
        )


if __name__ == "__main__":
    main()
