"""A log that grows -> what is new in its diagnosis, as soon as it shows."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from unstuck.diagnose import diagnose
from unstuck.load import load_all
from unstuck.policy import Policy, judged
from unstuck.records import SEVERITIES, Diagnosis, Finding
from unstuck.source import UnreadableRunError

State = tuple[tuple[str, int, int], ...]  # path, size and time of change of every file
MOST_FILES = 10_000


def follow(
    path: Path,
    policy: Policy,
    *,
    every: float = 5.0,
    idle: float | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[tuple[Diagnosis, tuple[Finding, ...]]]:
    """The diagnosis of each run at `path` whenever it holds findings not told before.

    Looks every so many seconds and reads again only when a file has changed. A finding that has
    grown worse is new. Ends when nothing has changed for `idle` seconds; never, where that is None.
    A path that does not exist yet, or holds nothing yet, is waited for.
    """
    told: dict[tuple[str, str, str], int] = {}
    before: State | None = None
    quiet = 0.0
    while True:
        now = _state(path)
        if now != before:
            quiet = 0.0
            for diagnosis in _diagnoses(path, policy):
                new = tuple(f for f in diagnosis.findings if _is_news(diagnosis, f, told))
                if new:
                    yield diagnosis, new
        before = now
        if idle is not None and quiet >= idle:
            return
        sleep(every)
        quiet += every


def _diagnoses(path: Path, policy: Policy) -> list[Diagnosis]:
    try:
        return [judged(diagnose(run), policy) for run in load_all(path, policy.roles)]
    except (UnreadableRunError, OSError):  # not yet, or just being written
        return []


def _is_news(diagnosis: Diagnosis, finding: Finding, told: dict[tuple[str, str, str], int]) -> bool:
    key = diagnosis.run.name, finding.code, finding.where
    severity = SEVERITIES.index(finding.severity)
    new = severity < told.get(key, len(SEVERITIES))
    told[key] = min(severity, told.get(key, severity))
    return new


def _state(path: Path) -> State:
    files = sorted(path.rglob("*"))[:MOST_FILES] if path.is_dir() else [path]
    found = []
    for file in files:
        try:
            stat = file.stat()
        except OSError:
            continue
        found.append((str(file), stat.st_size, stat.st_mtime_ns))
    return tuple(found)
