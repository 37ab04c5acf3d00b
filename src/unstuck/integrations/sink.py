"""The shape of a dashboard that a run's series and findings are written into."""

import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import numpy as np

from unstuck.diagnose import diagnose
from unstuck.load import load_all
from unstuck.records import Diagnosis, Run, Series
from unstuck.source import UnreadableRunError
from unstuck.watcher.thinning import kept

PREFIX = "unstuck."  # before every name, so that nothing of the user's own is met
MOST = 5_000  # readings of one series at a time: dashboards draw some 1,000 of them
SHARE = 0.01  # of one core that mirroring may take: it rests a hundred times as long as it works
Reading = tuple[str, int, float, float | None]  # name, step, value, wall time in seconds


class Watched(Protocol):
    """A run that is being recorded, as `unstuck.watch` gives it."""

    path: Path
    joinable: bool

    def close(self) -> None: ...


class Sink(Protocol):
    """One run of a dashboard. Steps and values come in order of steps, each once."""

    def readings(self, readings: list[Reading]) -> None:
        """Add readings."""

    def findings(self, diagnosis: Diagnosis) -> None:
        """Show what was found; a later call replaces what an earlier one showed, or follows it."""

    def close(self) -> None:
        """Write what is held back. What the user has opened stays open."""


def put(what: Run | Diagnosis, sink: Sink) -> None:
    """Every reading of a run and its findings, once."""
    diagnosis = what if isinstance(what, Diagnosis) else diagnose(what)
    sink.readings(list(readings_of(diagnosis.run)))
    sink.findings(diagnosis)
    sink.close()


def readings_of(run: Run, sent: dict[str, int] | None = None) -> Iterator[Reading]:
    """All readings in order of steps; with `sent`, those after it, which is brought up to date.

    Of a long series so many that its shape and all that stands out are there.
    A run that went on from a checkpoint is numbered as the trainer numbers it.
    """
    before = run.facts.get("resumed/step", 0)
    offset = before if isinstance(before, int) else 0
    found: list[Reading] = []
    for name, series in run.series.items():
        start = 0
        if sent is not None and len(series):
            start = int(series.step.searchsorted(sent.get(name, -1), side="right"))
            sent[name] = int(series.step[-1])
        found += _readings(name, series, start, offset)
    found.sort(key=lambda reading: (reading[1], reading[0]))
    return iter(found)


def _readings(name: str, series: Series, start: int, offset: int) -> Iterable[Reading]:
    keep = np.flatnonzero(kept(series.step[start:], series.value[start:], MOST)) + start
    steps, values = series.step[keep].tolist(), series.value[keep].tolist()
    walls = [None] * len(steps) if series.wall is None else series.wall[keep].tolist()
    return ((name, s + offset, v, w) for s, v, w in zip(steps, values, walls, strict=True))


class Mirror:
    """Copies a run into a dashboard while it is recorded, from a thread of its own.

    Reads the record from disk, as any other program can: the training loop has no part in it.
    """

    def __init__(self, run: Watched, sink: Sink, every: float = 30.0) -> None:
        self._run, self._sink, self._every = run, sink, every
        self._sent: dict[str, int] = {}
        self._told: tuple[str, ...] | None = None
        self._stopped = self._failed = False
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="unstuck-mirror", daemon=True)

    def start(self) -> "Mirror":
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close the record where it is this script's own, and write the rest of it."""
        if self._stopped:
            return
        self._stopped = True
        self._end.set()
        self._thread.join(timeout=60)
        if not self._run.joinable:
            self._run.close()
        if not self._failed:
            self._safely(last=True)

    def __enter__(self) -> "Mirror":
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        note = getattr(self._run, "note", None)
        if kind is not None and note is not None:
            note({"exit/exception": f"{kind.__name__}: {error}"[:1000]})
        self.stop()

    def _follow(self) -> None:
        wait = self._every
        while not self._end.wait(wait):
            began = time.thread_time()
            if not self._safely():
                return
            wait = max(self._every, (time.thread_time() - began) / SHARE)

    def _safely(self, last: bool = False) -> bool:
        """Copy what is new; a dashboard that fails is given up with one line."""
        try:
            self._copy(last)
        except Exception as error:
            text = f"{type(error).__name__}: {error}"[:300]
            print(f"unstuck: stopped writing into the dashboard ({text})", file=sys.stderr)
            self._failed = True
            return False
        return True

    def _copy(self, last: bool) -> None:
        runs: list[Run] = []
        with suppress(UnreadableRunError):  # nothing is written yet
            runs = load_all(self._run.path)
        for run in runs[:1]:
            self._sink.readings(list(readings_of(run, self._sent)))
            diagnosis = diagnose(run)
            told = tuple(f"{f.code} {f.where} {f.severity}" for f in diagnosis.findings)
            if last or told != self._told:
                self._sink.findings(diagnosis)
            self._told = told
        if last:
            self._sink.close()
