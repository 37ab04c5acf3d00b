"""Train every item of the course over several seeds, healthy and with each of its faults, watched.

    python scripts/course.py [--only ITEM ...] [--seeds 5] [--first 0] [--jobs 2] [--out DIR]

Prints, item by item, the metric with its spread, how far it lies above the trivial baseline in the
worst seed, whether each fault hurts (paired over seeds), and what was diagnosed. A run that is
finished and whose sources have not changed since is not repeated, so the command can be
interrupted. `--page` then writes docs/course.md, its pictures and the items' `Expected:` lines;
`--corpus` writes the records into tests/runs/course.
"""

import argparse
import ast
import contextlib
import functools
import hashlib
import json
import multiprocessing
import os
import shutil
import time
import traceback
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from course_results import HEALTHY, print_summary, print_table, results_of
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import unstuck
from unstuck.cases import course
from unstuck.cases.course import item

ROOT = Path(__file__).resolve().parent.parent
SOURCES = Path(course.__file__).parent


@dataclass(frozen=True, slots=True)
class Job:
    """One run: an item, `healthy` or one of its faults, a seed."""

    item: str
    form: str
    seed: int
    folder: Path

    @property
    def result(self) -> Path:
        return self.folder / "result.json"


def jobs_of(names: list[str], seeds: range, out: Path) -> list[Job]:
    return [
        Job(name, form, seed, out / name / f"{form}-{seed}")
        for name in names
        for form in (HEALTHY, *item.load(name).FAULTS)
        for seed in seeds
    ]


@functools.cache
def key_of(name: str, form: str) -> str:
    """A hash of the sources an item's run depends on, and of its fault.

    Taken once a process: of the code it holds, whatever is written to the files meanwhile.
    """
    changes = dict(item.changed(item.load(name), None if form == HEALTHY else form))
    digest = hashlib.sha256(json.dumps(changes, sort_keys=True).encode())
    for file in sorted(_depends(SOURCES / f"{name}.py", set())):
        tree = ast.parse(file.read_text())
        if file.stem == name:  # notes for the reader and other faults change no run
            tree.body = [node for node in tree.body if not _beside_the_point(node)]
        digest.update(ast.dump(tree).encode())
    return digest.hexdigest()[:16]


def _beside_the_point(node: ast.stmt) -> bool:
    """The docstring, FAULTS and MARGIN."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    targets = node.targets if isinstance(node, ast.Assign) else []
    return any(isinstance(t, ast.Name) and t.id in ("FAULTS", "MARGIN") for t in targets)


def _depends(file: Path, seen: set[Path]) -> set[Path]:
    if file in seen or file.stem in ("pictures", "package", "item"):  # change no number
        return seen
    seen.add(file)
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(course.__name__):
            below = (node.module or "").removeprefix(course.__name__).strip(".").replace(".", "/")
            for name in ["", *(alias.name for alias in node.names)]:
                other = SOURCES / below / f"{name}.py" if name else SOURCES / f"{below}.py"
                if other.is_file():
                    _depends(other, seen)
    return seen


def run(job: Job) -> None:
    """Train one job watched and leave its result; in a process of its own that trains many."""
    if job.folder.exists():
        shutil.rmtree(job.folder)
    job.folder.mkdir(parents=True)
    module = item.load(job.item)
    recipe = item.made(module.Recipe, item.changed(module, _fault(job)))
    result: dict[str, object] = {"key": key_of(job.item, job.form)}
    with (
        (job.folder / "printed.txt").open("w") as said,
        contextlib.redirect_stdout(said),
        unstuck.watch(
            out=job.folder / "run",
            name=f"course/{job.item} {job.form} {job.seed}",
            recipe=recipe.model_dump(),
            budget=None,  # the same steps are read on every machine
        ),
    ):
        try:
            keep = job.folder if job.seed == 0 else None
            result["metrics"] = item.run(module, recipe, job.seed, keep)
        except Exception:
            result["error"] = traceback.format_exc()[-2000:]
    job.result.write_text(json.dumps(result))


def _fault(job: Job) -> str | None:
    return None if job.form == HEALTHY else job.form


def finished(job: Job) -> bool:
    try:
        kept = json.loads(job.result.read_text())
    except (OSError, ValueError):
        return False
    return "error" not in kept and bool(kept.get("key") == key_of(job.item, job.form))


def run_all(jobs: list[Job], workers: int, console: Console) -> None:
    left = [job for job in jobs if not finished(job)]
    began = time.monotonic()
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()]
    with (
        Progress(*columns, TimeElapsedColumn(), console=console) as progress,
        ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool,
    ):
        task = progress.add_task("training", total=len(jobs), completed=len(jobs) - len(left))
        running = {pool.submit(run, job): job for job in left}
        try:
            for future in as_completed(running):
                future.result()
                job = running[future]
                said = f"{job.item} {job.form} {job.seed}"[:40]
                progress.update(task, advance=1, description=said)
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            raise SystemExit(
                "interrupted: the same command goes on where this one stopped"
            ) from None
    console.print(f"{len(left)} runs in {time.monotonic() - began:.0f} s, {len(jobs)} in all")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[], metavar="ITEM")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="first seed: others for a fresh look")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "course")
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--corpus", action="store_true")
    options = parser.parse_args()
    if options.first and (options.page or options.corpus):
        parser.error("the page and the corpus are made from seed 0 on: leave out --first")
    names = options.only or item.names()
    unknown = set(names) - set(item.names())
    if unknown:
        parser.error(f"no item {', '.join(sorted(unknown))}; there are: {', '.join(item.names())}")
    console = Console(highlight=False, width=150)
    seeds = range(options.first, options.first + options.seeds)
    jobs = jobs_of(names, seeds, options.out)
    run_all(jobs, options.jobs, console)
    results = results_of(jobs)
    print_table(results, console)
    print_summary(results, console)
    if options.page:
        import course_page

        course_page.write(results, ROOT)
    if options.corpus:
        import course_corpus

        course_corpus.write(results, ROOT / "tests" / "runs" / "course")


if __name__ == "__main__":
    main()
