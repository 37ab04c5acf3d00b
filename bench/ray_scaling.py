"""The same trial on a Ray cluster with one worker of one core and with two.

    .venv/bin/python bench/ray_scaling.py [--seeds 5] [--seconds 3] [--times 1]

Prints the wall time of the whole trial, connecting included, and how many times faster two are; 2
would be perfect, the bar is 1.6 (linear within 20 %). Needs two idle cores.
"""

import argparse
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path
from statistics import median

from unstuck.trials import trial

TRAINING = """
import hashlib, time

def train(recipe, seed):
    began = time.process_time()
    hashlib.pbkdf2_hmac("sha256", b"work", str(seed).encode(), recipe["iterations"])
    return {"score": seed % 3 + recipe["bonus"], "processor": time.process_time() - began}
"""
SMALL = {"object_store_memory": 80_000_000, "include_dashboard": False}


def iterations(seconds: float) -> int:
    """Rounds of hashing that take so many seconds of a processor."""
    import hashlib

    began, rounds = time.process_time(), 200_000
    hashlib.pbkdf2_hmac("sha256", b"work", b"0", rounds)
    return round(rounds * seconds / (time.process_time() - began))


def took(workers: int, rounds: int, seeds: int, folder: Path) -> tuple[float, float]:
    """Wall seconds of a trial on a cluster of so many workers, and processor seconds of a run."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **SMALL})
    for _ in range(workers):
        cluster.add_node(num_cpus=1, **SMALL)
    began = time.perf_counter()
    done = trial(
        f"{folder / 'work.py'}:train",
        {"iterations": rounds, "bonus": 0.0},
        {"better": {"bonus": 1.0}},
        metric="score",
        seeds=seeds,
        out=folder / f"{workers}-{time.monotonic_ns()}",
        ray=cluster.address,
        cache=False,
        progress=False,
    )
    wall = time.perf_counter() - began
    cluster.shutdown()
    failed = [run.error for run in done.outcomes if run.error]
    if failed:
        sys.exit(f"a run failed: {failed[0]}")
    return wall, median(run.metrics["processor"] for run in done.outcomes)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="pairs; two runs each")
    parser.add_argument("--seconds", type=float, default=3.0, help="processor seconds of a run")
    parser.add_argument("--times", type=int, default=1)
    options = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    warnings.simplefilter("ignore")  # Ray leaves pipes to the garbage collector
    rounds = iterations(options.seconds)
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores before the first")
    walls: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "work.py").write_text(TRAINING)
        for _ in range(options.times):
            for workers in (1, 2):
                wall, processor = took(workers, rounds, options.seeds, Path(name))
                walls[workers].append(wall)
                print(
                    f"{workers} worker{'s' * (workers > 1)}: {2 * options.seeds} runs of "
                    f"{processor:.2f} s of a processor in {wall:.1f} s"
                )
    ratio = median(walls[1]) / median(walls[2])
    print(f"two workers are {ratio:.2f} x as fast as one (bar 1.6)")


if __name__ == "__main__":
    main()
