"""Probe the healthy trainings while they train, and keep what the probes found.

    python scripts/probe_runs.py [--only NAME ...] [--seconds 8] [--work runs/probed]

Each healthy training of `trainings/` runs watched and is probed at its second step and again late;
each item of the course, in the small form of its tests, at its second step.
What is finished is not repeated, so the command can be interrupted; then all facts go into one
small file, tests/runs/probed/healthy.json.gz, which tests/quality/test_probed_runs.py joins with
the recorded runs: no detector may raise an alarm.
"""

import argparse
import gzip
import json
import math
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import torch
from record_runs import ROOT, all_trainings
from trainings import Training

import unstuck
from unstuck import catalog
from unstuck.cases.course import item
from unstuck.records import Scalar


@dataclass(frozen=True, slots=True)
class Job:
    """A healthy training and the steps it is probed at."""

    name: str
    body: Callable[[], None]
    steps: tuple[int, ...]


LATE = 0.6  # of the training: something has been learned, and much is left
KEPT = ROOT / "tests" / "runs" / "probed" / "healthy.json.gz"


def recorded(training: Training) -> Path:
    return ROOT / "tests" / "runs" / f"{training.name}.json.gz"


def last_step(training: Training) -> int:
    """Of the recorded run."""
    series = json.loads(gzip.decompress(recorded(training).read_bytes()))["series"]
    return max(
        (steps[-1] for name, (steps, _) in series.items() if name.startswith("loss/")), default=0
    )


def of_training(training: Training) -> Job:
    """It trains on its own data; the early step and a late one."""
    return Job(training.name, training.body, (1, max(2, round(LATE * last_step(training)))))


def of_item(name: str) -> Job:
    """An item of the course in the small form of its tests: a few steps on embedded data."""
    module = item.load(name)

    def body() -> None:
        with tempfile.TemporaryDirectory() as folder:
            recipe = item.made(module.Recipe, {**module.TINY, "sample": True})
            item.run(module, recipe, 0, Path(folder))

    return Job(f"course.{name}", body, (1,))


def probed(job: Job, seconds: float) -> dict[str, Scalar]:
    """The facts of its probes, and what was said of the probing itself."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        with unstuck.watch(out=out, budget=None, probe=job.steps, probe_seconds=seconds):
            job.body()
        run = unstuck.load(out)
    assert isinstance(run, unstuck.Run)
    patterns = ["probed/*", *(p for probe in catalog.probes() for p in probe.facts)]
    found = {n: v for n, v in run.facts.items() if any(fnmatchcase(n, p) for p in patterns)}
    return {n: _short(v) for n, v in found.items()}


def _short(value: Scalar) -> Scalar:
    if not isinstance(value, float):
        return value
    return float(f"{value:.4g}") if math.isfinite(value) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--seconds", type=float, default=8.0, help="for each probing")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "probed")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    healthy = [t for t in all_trainings() if t.expected is None and t.ranks == 1]
    jobs = [of_training(t) for t in healthy if recorded(t).exists()]
    jobs += [of_item(name) for name in item.names()]
    for number, job in enumerate(jobs, 1):
        file = options.work / f"{job.name}.json"
        if file.exists() or (options.only and job.name not in options.only):
            continue
        began = time.monotonic()
        facts = probed(job, options.seconds)
        file.write_text(json.dumps(facts))
        took = time.monotonic() - began
        print(f"{number}/{len(jobs)} {job.name}: {len(facts)} facts, {took:.0f} s", flush=True)
    files = [options.work / f"{job.name}.json" for job in jobs]
    kept = {f.stem: json.loads(f.read_text()) for f in files if f.exists()}
    text = json.dumps(kept, separators=(",", ":"))
    KEPT.parent.mkdir(exist_ok=True)
    KEPT.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{KEPT.name}: {len(kept)} runs, {KEPT.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
