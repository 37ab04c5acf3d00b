"""Train the small runs of `trainings/` under unstuck's eyes and keep what was recorded.

    python scripts/record_runs.py [--only NAME ...] [--out tests/runs]

Each becomes one gzipped JSON file: series as (step, value) columns, facts, and the planted code.
"""

import argparse
import gzip
import json
import math
import tempfile
import time
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import torch
import trainings
from trainings import Training

import unstuck

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = ("seconds/", "bytes/")  # differ from machine to machine
SEED = 0


def all_trainings() -> list[Training]:
    modules = [import_module(f"trainings.{m.name}") for m in iter_modules(trainings.__path__)]
    return [v for m in modules for v in vars(m).values() if isinstance(v, Training)]


def recorded(training: Training, seed: int = SEED) -> unstuck.Run:
    torch.manual_seed(seed)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        with unstuck.watch(out=out, name=training.name, recipe=dict(training.recipe)):
            training.body()
        run = unstuck.load(out)
    assert isinstance(run, unstuck.Run)
    return run


def as_json(run: unstuck.Run, expected: str | None) -> dict[str, object]:
    series = {
        s.name: [s.step.tolist(), [_short(v) for v in s.value.tolist()]]
        for s in run.series.values()
        if not s.name.startswith(LEFT_OUT)
    }
    facts = {n: v for n, v in run.facts.items() if not n.startswith("environment/")}
    kept = {"name": run.name, "expected": expected, "facts": facts, "series": series}
    return kept | ({"recipe": dict(run.recipe)} if run.recipe else {})


def _short(value: float) -> float | str:
    """Four digits are more than any threshold needs; JSON has no NaN."""
    return float(f"{value:.4g}") if math.isfinite(value) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--out", type=Path, default=ROOT / "tests" / "runs")
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    for training in all_trainings():
        if options.only and training.name not in options.only:
            continue
        began = time.monotonic()
        run = recorded(training, options.seed)
        text = json.dumps(as_json(run, training.expected), separators=(",", ":"))
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
