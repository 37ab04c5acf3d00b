"""What is found in runs of seeds that no detector was made with.

    python scripts/held_out.py [--first 7] [--seeds 2] [--jobs 2]

Trains the small trainings of `record_runs.py` and the whole course with these seeds (finished runs
are not repeated), and prints for each view of them (watched, as a log, one line an epoch) how many
healthy runs are warned of and how many sick ones are detected and named first.
"""

import argparse
import gzip
import json
import os
import sys
from pathlib import Path

import course
import course_corpus
from course_results import results_of
from record_runs import all_trainings, as_json, recorded
from rich.console import Console
from rich.progress import track

from unstuck import diagnose
from unstuck.cases.course import item

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "quality"))

import corpus  # noqa: E402  (beside the tests, not a package)

OUT = ROOT / "runs" / "held-out"


def record_small(seed: int, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for training in track(all_trainings(), f"trainings, seed {seed}"):
        file = folder / f"{training.name}.json.gz"
        if not file.exists():
            kept = as_json(recorded(training, seed), training.expected, training.keeps)
            file.write_bytes(gzip.compress(json.dumps(kept).encode(), mtime=0))


def record_course(seeds: range, folder: Path, jobs: int, console: Console) -> None:
    wanted = course.jobs_of(item.names(), seeds, ROOT / "runs" / "course")
    course.run_all(wanted, jobs, console)
    course_corpus.write(results_of(wanted), folder / "course")


def judge(kept: list[corpus.Recorded], console: Console) -> None:
    sick = [it for it in kept if set(it.planted) & set(corpus.CODES)]
    healthy = [it for it in kept if it.healthy]
    for view, seen_as in corpus.VIEWS.items():
        warned = [
            f"{it.name}: {', '.join(f.code for f in found)}"
            for it in healthy
            if (found := diagnose(seen_as(it.run)).at_least("warning"))
        ]
        shown = [it for it in sick if corpus.shown_by(it.planted, seen_as(it.run))]
        first = [corpus.first_cause(seen_as(it.run)) for it in shown]
        named = sum(code in it.planted for it, code in zip(shown, first, strict=True))
        missed = [
            f"{it.name}: {code or '-'}"
            for it, code in zip(shown, first, strict=True)
            if code not in it.planted
        ]
        console.print(
            f"{view:9} {len(warned)} of {len(healthy)} healthy runs warned of; of {len(shown)} "
            f"sick ones {sum(map(bool, first))} detected, {named} named first"
        )
        for line in [*(f"warned {w}" for w in warned), *(f"missed {m}" for m in missed)]:
            console.print(f"    {line}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--first", type=int, default=7)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    console = Console(highlight=False, width=120)
    kept: list[corpus.Recorded] = []
    for seed in seeds:
        record_small(seed, OUT / f"seed-{seed}")
        kept += corpus.recorded(OUT / f"seed-{seed}")
    together = OUT / f"seeds-{seeds.start}-{seeds.stop - 1}"
    record_course(seeds, together, options.jobs, console)
    kept += corpus.recorded(together)
    judge(kept, console)


if __name__ == "__main__":
    main()
