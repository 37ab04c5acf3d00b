"""Train the small runs of `trainings/` under unstuck's eyes and keep what was recorded.

    python scripts/record_runs.py [--only NAME ...] [--out tests/runs]

Each becomes one gzipped JSON file: series as (step, value) columns, facts, and the planted code.
"""

import argparse
import gzip
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import torch
import trainings
from torch import distributed
from trainings import Training

import unstuck

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = ("seconds/", "bytes/", "wait/")  # differ from machine to machine
OF_THE_MACHINE = ("memory/", "flops/attainable")  # facts that do
SEED = 0


def all_trainings() -> list[Training]:
    modules = [import_module(f"trainings.{m.name}") for m in iter_modules(trainings.__path__)]
    return [v for m in modules for v in vars(m).values() if isinstance(v, Training)]


def recorded(training: Training, seed: int = SEED) -> unstuck.Run:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        if training.ranks > 1 or training.keeps:  # what a process holds depends on what it did
            _launched(training, seed, out)
        else:
            _watched(training, seed, out)
        run = unstuck.load(out)
    assert isinstance(run, unstuck.Run)
    return run


def _watched(training: Training, seed: int, out: Path) -> None:
    torch.manual_seed(seed)
    recipe = dict(training.recipe)
    with unstuck.watch(out=out, name=training.name, recipe=recipe, budget=None):
        training.body()


def _launched(training: Training, seed: int, out: Path) -> None:
    """In a process of its own, or let torchrun start the ranks; one may be meant to be lost."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
    words = [*launcher, str(training.ranks)] if training.ranks > 1 else []
    words += [__file__, "--part-of", training.name, "--seed", str(seed), "--out", str(out)]
    done = subprocess.run(
        [sys.executable, *words],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    if done.returncode and training.expected != "DST004":
        raise RuntimeError(f"{training.name} failed:\n{done.stderr}")


def _as_part(training: Training, seed: int, out: Path) -> None:
    """The process that was started for it, or one of the ranks."""
    if training.ranks == 1:
        _watched(training, seed, out)
        return
    distributed.init_process_group("gloo")
    _watched(training, seed, out)
    distributed.destroy_process_group()


def as_json(
    run: unstuck.Run, expected: str | None, keeps: tuple[str, ...] = ()
) -> dict[str, object]:
    series = {
        s.name: [s.step.tolist(), [_short(v) for v in s.value.tolist()]]
        for s in run.series.values()
        if not _differs(s.name) or _plain(s.name).startswith(keeps)
    }
    facts = {n: v for n, v in run.facts.items() if not n.startswith("environment/")}
    facts = {n: v for n, v in facts.items() if not n.endswith("/last_wall")}
    if not keeps:
        facts = {n: v for n, v in facts.items() if not n.startswith(OF_THE_MACHINE)}
    kept = {"name": run.name, "expected": expected, "facts": facts, "series": series}
    return kept | ({"recipe": dict(run.recipe)} if run.recipe else {})


def _plain(name: str) -> str:
    """The name of a series without the rank that recorded it."""
    return name.split("/", 2)[2] if name.startswith("rank/") else name


def _differs(name: str) -> bool:
    return _plain(name).startswith(LEFT_OUT)


def _short(value: float) -> float | str:
    """Four digits are more than any threshold needs; JSON has no NaN."""
    return float(f"{value:.4g}") if math.isfinite(value) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--out", type=Path, default=ROOT / "tests" / "runs")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--part-of", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.part_of:
        training = next(t for t in all_trainings() if t.name == options.part_of)
        _as_part(training, options.seed, options.out)
        return
    options.out.mkdir(parents=True, exist_ok=True)
    for training in all_trainings():
        if options.only and training.name not in options.only:
            continue
        began = time.monotonic()
        run = recorded(training, options.seed)
        text = json.dumps(as_json(run, training.expected, training.keeps), separators=(",", ":"))
        file = options.out / f"{training.name}.json.gz"
        file.write_bytes(gzip.compress(text.encode(), mtime=0))
        causes = [f"{c.finding.code}:{c.finding.severity}" for c in unstuck.diagnose(run).causes]
        print(
            f"{training.name:32} {training.expected or 'healthy':8} "
            f"{time.monotonic() - began:5.1f} s {file.stat().st_size / 1000:5.1f} kB  {causes}",
            flush=True,
        )


if __name__ == "__main__":
    main()
