"""Trainings under accidents, watched and unwatched: the watcher must never make a difference.

    python scripts/chaos.py [--minutes 30] [--seed 0] [--only ACCIDENT ...]

Accidents come at random moments: kill -9, SIGTERM, a full disk, a read-only one, the directory
taken away, a database locked by others, a clock that leaps, errors and forks in the script, a
watcher without memory, interpreters that end in every way. Each training must end as it does
unwatched, with the same weights, optimizer state and random state to the bit; the watcher may say
one line; what it recorded must be readable. A full or read-only disk is a small tmpfs where
mounting is allowed, else a limit on the size of files and a directory without write permission.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import unstuck
from unstuck.source import UnreadableRunError

PROGRAM = Path(__file__).with_name("chaos_training.py")
STEPS, PAUSE = 150, 0.01  # steps of a training and seconds slept in each
LONG = 3000  # steps of one that does not live to its end
INSIDE = (
    "clock leaps",
    "no memory",
    "file too large",
    "no terminal",
    "exceptions",
    "fork",
    "threads",
    "ends badly",
    "ends at once",
)
FROM_OUTSIDE = ("kill -9", "SIGTERM", "full disk", "read-only", "taken away", "locked")
ACCIDENTS = INSIDE + FROM_OUTSIDE
UNRECORDED = ("read-only", "taken away")  # there may be nothing to read afterwards


@dataclass(frozen=True)
class Ended:
    """How a training ended: its exit status, the digest it printed, what was said about it."""

    status: int
    digest: str
    said: tuple[str, ...]


@contextlib.contextmanager
def started(record, accident, seed, steps=STEPS):
    inside = accident if accident in INSIDE else "none"
    words = [sys.executable, PROGRAM, record, inside, str(steps), str(PAUSE), str(seed)]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        list(map(str, words)), stdout=pipe, stderr=pipe, text=True, env=alone()
    ) as child:
        try:
            assert child.stdout.readline() == "trains\n", child.stderr.read()
            yield child
        finally:
            child.kill()


def alone():
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}


def ended(child):
    out, err = child.communicate(timeout=120)
    said = tuple(line for line in err.splitlines() if line.startswith("unstuck"))
    return Ended(child.returncode, out.strip(), said)


@cache
def unwatched(accident):
    """Which moments the accident chooses is no matter to a training that goes on."""
    with started("-", accident, 0) as child:
        return ended(child)


@contextlib.contextmanager
def small_disk(folder, options):
    """A tmpfs of some kilobytes where we may mount one; False where we may not."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, check=False
    )
    try:
        yield done.returncode == 0
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", "-l", folder], check=False)


def killed(folder, accident, rng):
    """A signal ends the training at once, as if nobody watched."""
    number = signal.SIGKILL if accident == "kill -9" else signal.SIGTERM
    with started(folder / "run", accident, 0, LONG) as child:
        time.sleep(rng.uniform(0, 3))
        child.send_signal(number)
        last = ended(child)
    assert last.status == -number, last
    return last


def on_small_disk(folder, accident, rng):
    size = rng.choice((90, 140, 200))  # kilobytes
    with small_disk(
        folder, f"size={size}k" + (",ro" if accident == "read-only" else "")
    ) as mounted:
        if not mounted:
            return without_mount(folder, accident, rng)
        with started(folder / "run", accident, 0) as child:
            last = ended(child)
        if accident == "full disk":
            readable(folder / "run")
    return last


def without_mount(folder, accident, rng):
    if accident == "full disk":
        with started(folder / "run", "file too large", 0) as child:
            return ended(child)
    folder.chmod(0o500)
    try:
        with started(folder / "run", accident, 0) as child:
            return ended(child)
    finally:
        folder.chmod(0o700)


def taken_away(folder, accident, rng):
    with started(folder / "run", accident, 0) as child:
        time.sleep(rng.uniform(0, 1))
        shutil.rmtree(folder / "run")
        return ended(child)


def locked(folder, accident, rng):
    with started(folder / "run", accident, 0) as child:
        time.sleep(rng.uniform(0, 1))
        with contextlib.closing(sqlite3.connect(folder / "run" / "run.sqlite")) as other:
            other.execute("BEGIN IMMEDIATE")
            time.sleep(rng.uniform(0.5, 3))
        return ended(child)


def left_alone(folder, accident, seed):
    with started(folder / "run", accident, seed) as child:
        return ended(child)


def readable(directory):
    """The record, whole as far as it goes."""
    run = unstuck.load(directory)
    assert isinstance(run, unstuck.Run)
    return run


def suffered(accident, seed, folder):
    """One accident: what went wrong with it, or nothing."""
    rng = random.Random(f"{accident} {seed}")
    from_outside = {
        "kill -9": killed,
        "SIGTERM": killed,
        "full disk": on_small_disk,
        "read-only": on_small_disk,
        "taken away": taken_away,
        "locked": locked,
    }
    if accident in from_outside:
        last = from_outside[accident](folder, accident, rng)
    else:
        last = left_alone(folder, accident, seed)
    wrong = []
    if accident not in ("kill -9", "SIGTERM"):
        alone = unwatched(accident if accident in INSIDE else "none")
        if (last.status, last.digest) != (alone.status, alone.digest):
            wrong.append(f"ended {last}, unwatched {alone}")
    if len(last.said) > 1:
        wrong.append(f"said more than one line: {last.said}")
    if accident not in UNRECORDED and (folder / "run").exists():
        try:
            readable(folder / "run")
        except (UnreadableRunError, AssertionError) as error:
            wrong.append(f"unreadable: {error}")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", choices=ACCIDENTS, default=list(ACCIDENTS))
    options = parser.parse_args()
    until = time.monotonic() + 60 * options.minutes
    count, failures = Counter(), []
    seed = options.seed
    while time.monotonic() < until:
        for accident in options.only:
            with tempfile.TemporaryDirectory() as folder:
                wrong = suffered(accident, seed, Path(folder))
            count[accident] += 1
            failures += [f"{accident} (seed {seed}): {text}" for text in wrong]
            if time.monotonic() > until:
                break
        seed += 1
    for accident, times in count.items():
        print(f"{accident:<16} {times:4d} times")
    print("\n".join(failures) or f"{sum(count.values())} accidents, none made a difference")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
