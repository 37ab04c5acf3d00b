"""Damage the samples of every source thousands of times and read what is left.

    python scripts/fuzz_sources.py [--count 10000] [--seed 0] [--jobs 2] [--only SOURCE ...]

Each answer must be runs or one line, within 5 seconds and 1 GB; prints one line a source and keeps
what broke it in runs/fuzz.
"""

import argparse
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import warnings
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "contracts"))

import source_contract as contract  # noqa: E402  (beside the tests, not a package)
from mutations import wounded  # noqa: E402

from unstuck import diagnose  # noqa: E402

SLOWEST = 5  # seconds
LARGEST = 1_000_000_000  # bytes of memory
AT_A_TIME = 500  # mutations in one process
KEPT = ROOT / "runs" / "fuzz"


class TooSlowError(Exception):
    pass


def _too_slow(*_: object) -> None:
    raise TooSlowError(f"more than {SLOWEST} s")


def damage(name: str, seed: int, count: int) -> tuple[str, int, int, int, list[str]]:
    """Name, mutations, answers with runs, peak memory in bytes, and what went wrong."""
    warnings.simplefilter("error")
    signal.signal(signal.SIGALRM, _too_slow)
    resource.setrlimit(resource.RLIMIT_AS, (4 * LARGEST, 4 * LARGEST))  # spares the machine
    rng = random.Random(f"{name} {seed}")
    source = next(s for s in contract.every_source() if s.name == name)
    read, broken = 0, []
    with tempfile.TemporaryDirectory() as folder:
        copies = [contract.copied(s, folder) for s in contract.samples(source)]
        for i in range(count):
            sample = rng.choice(copies)
            file, damaged = wounded(contract.files_of(sample), rng)
            whole = file.read_bytes()
            file.write_bytes(damaged)
            signal.setitimer(signal.ITIMER_REAL, SLOWEST)
            try:
                runs = contract.answer(sample)
                read += bool(runs)
                for run in runs:
                    diagnose(run)
            except BaseException as error:  # whatever it is, it is what we look for
                kept = KEPT / name / f"{seed}-{i}-{file.name}"
                kept.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, kept)
                where = str(file.relative_to(folder))
                broken.append(f"{kept.name} ({where}): {type(error).__name__}: {error}"[:300])
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            file.write_bytes(whole)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return name, count, read, peak, broken


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", nargs="*", default=[], metavar="SOURCE")
    options = parser.parse_args()
    names = [s.name for s in contract.every_source() if not options.only or s.name in options.only]
    console = Console(highlight=False)
    total = {name: [0, 0, 0] for name in names}
    failures: dict[str, list[str]] = {name: [] for name in names}
    context = multiprocessing.get_context("spawn")
    with Progress(console=console) as progress, ProcessPoolExecutor(options.jobs, context) as pool:
        task = progress.add_task("damaging", total=len(names) * options.count)
        waiting = [
            pool.submit(damage, name, options.seed + start, min(AT_A_TIME, options.count - start))
            for name in names
            for start in range(0, options.count, AT_A_TIME)
        ]
        for future in as_completed(waiting):
            name, count, read, peak, broken = future.result()
            total[name][0] += count
            total[name][1] += read
            total[name][2] = max(total[name][2], peak)
            failures[name] += broken
            progress.update(task, advance=count)
    for name in names:
        count, read, peak = total[name]
        told = f"{count:,} damaged, {read:,} still read, {peak / 1e6:.0f} MB at most"
        console.print(f"{name:18} {told}, {len(failures[name])} broken")
        for line in failures[name][:5]:
            console.print(f"    {line}", markup=False)
    heavy = [name for name in names if total[name][2] > LARGEST]
    sys.exit(1 if heavy or any(failures.values()) else 0)


if __name__ == "__main__":
    main()
