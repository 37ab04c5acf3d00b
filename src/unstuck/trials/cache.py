"""Finished runs, kept by what they consist of, so that the same run is never done twice.

The key is a hash over everything known before a run that decides its result: the code
(unstuck.trials.code) and the files named on the command line, the recipe, the seed, live changes,
whether it is watched, the working directory, and the versions of Python, of every installed package
and of unstuck. What a run reads besides (data, variables of the environment), and the machine, are
not in it. Only runs that ended well are kept, one small JSON file each, a bounded number of them.
"""

import hashlib
import json
import math
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

from unstuck import atomic
from unstuck.records import Outcome, Plan
from unstuck.trials.code import changed_since, files_of, own_files, state_of
from unstuck.trials.executor import Job
from unstuck.trials.plan import arms, asked
from unstuck.trials.subject import Subject, filled

SCHEMA = 1
LARGEST = 64 * 1024  # bytes of one kept run
MOST = 64  # kept runs in each of the 256 folders
LARGEST_READ = 16 * 2**20  # bytes of a file on the command line; of larger ones size and time count


def default_folder() -> Path:
    """$UNSTUCK_CACHE, else `.cache` in the folder of runs."""
    given = os.environ.get("UNSTUCK_CACHE")
    return Path(given) if given else Path(os.environ.get("UNSTUCK_RUNS") or "runs") / ".cache"


class Cache:
    """The runs of one trial's subject that are kept in `folder`.

    An arm with the recipe of another (an A/A comparison) is never taken from here: it would be the
    other's own run.
    """

    def __init__(self, plan: Plan, subject: Subject, folder: Path | None = None) -> None:
        self.plan = plan
        self.subject = subject
        self.folder = folder or default_folder()
        self._code = files_of(subject)
        self._state = state_of(self._code)
        self._what = self._described()
        recipes = list(arms(plan).items())
        self._twins = {
            arm
            for i, (arm, recipe) in enumerate(recipes)
            if any(recipe == earlier for _, earlier in recipes[:i])
        }

    @property
    def known(self) -> bool:
        """Whether the code of a run could be read; nothing is kept or found where it could not."""
        return bool(self._code)

    def found(self, job: Job) -> Outcome | None:
        """The run, where it was done before."""
        if not self.known or job.arm in self._twins:
            return None
        file = self._file(job)
        outcome = _read(file, job)
        if outcome is None or self.plan.metric not in outcome.metrics:
            return None
        os.utime(file)  # the least lately used are dropped first
        return outcome

    def keep(self, job: Job, outcome: Outcome) -> None:
        """Remember a run that ended well, unless its code has changed since the trial began."""
        if not self.known or outcome.error or changed_since(self._state):
            return
        file = self._file(job)
        before = _read(file, job)
        metrics = {**(before.metrics if before else {}), **outcome.metrics}
        if not all(math.isfinite(value) for value in metrics.values()):
            return
        kept = {
            "schema": SCHEMA,
            "metrics": metrics,
            "codes": outcome.codes,
            "seconds": outcome.seconds,
            "folder": str(job.folder.resolve()),
        }
        text = json.dumps(kept)
        if len(text) <= LARGEST:
            atomic.write_text(file, text + "\n")
            _drop_oldest(file.parent)

    def _file(self, job: Job) -> Path:
        what: dict[str, Any] = {
            **self._what,
            "recipe": {name: [type(v).__name__, v] for name, v in job.recipe.items()},
            "seed": job.seed,
        }
        if self.subject.command:
            words = filled(self.subject.command, asked(job.recipe), job.seed)
            what["files"] = [_content(Path(word)) for word in words if Path(word).is_file()]
        name = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
        return self.folder / name[:2] / f"{name}.json"

    def _described(self) -> dict[str, Any]:
        subject = self.subject
        return {
            "schema": SCHEMA,
            "subject": [subject.train, subject.command, subject.log],
            "watch": [subject.watch, subject.reseed],
            "seed outside": os.environ.get("UNSTUCK_SEED", ""),
            "directory": str(Path.cwd()),
            "code": [[str(file), _content(file)] for file in self._code],
            "versions": _versions(),
        }


@cache
def _versions() -> str:
    """One hash of Python's version, those of all packages, and of unstuck's own files."""
    state = hashlib.sha256(sys.version.encode())
    for folder in sys.path:
        for name in sorted(file.name for file in Path(folder).glob("*-*.*-info")):
            state.update(name.encode())  # the name and version of an installed package
    for file in own_files():
        state.update(file.read_bytes())
    return state.hexdigest()


def _content(file: Path) -> str:
    stat = file.stat()
    if stat.st_size > LARGEST_READ:
        return f"{stat.st_size} bytes of {stat.st_mtime_ns}"
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _read(file: Path, job: Job) -> Outcome | None:
    try:
        with file.open("rb") as kept:
            content = json.loads(kept.read(2 * LARGEST))
        metrics = {str(name): float(value) for name, value in content["metrics"].items()}
        codes = None if content["codes"] is None else tuple(str(c) for c in content["codes"])
        seconds = float(content["seconds"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if not all(math.isfinite(value) for value in metrics.values()):
        return None
    return Outcome(job.arm, job.seed, metrics, codes, seconds)


def _drop_oldest(folder: Path) -> None:
    kept = sorted(folder.glob("*.json"), key=lambda file: file.stat().st_mtime)
    for file in kept[:-MOST]:
        file.unlink(missing_ok=True)
