"""What has been added to a log since the last look, and whether it is still being written."""

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unstuck.load import Place
from unstuck.reading.database import opened
from unstuck.records import Floats, Run, Series
from unstuck.sources.unstuck_run import FILE

State = tuple[tuple[str, int, int], ...]  # path, size and time of change of every file
MOST_FILES = 2_000  # of one place
MOST_ROWS = 2_000_000  # readings taken on in one look; more is left to a whole reading
ENDS = {"exit/exception", "exit/status", "exit/closed"}  # facts written at the end of a run
QUIET = 60.0  # seconds without a change after which a log counts as ended
QUIET_STEPS = 5  # a log that is written rarely may be silent for so many of its usual gaps
LONGEST_QUIET = 7_200.0


def state_of(place: Place) -> State:
    """Changes whenever a file of the place does; empty where nothing is left of it."""
    found = []
    for file in _files(place):
        try:
            stat = file.stat()
        except OSError:
            continue
        found.append((str(file), stat.st_size, stat.st_mtime_ns))
    return tuple(found)


def _files(place: Place) -> Iterator[Path]:
    """The files a place is read from; an index that readers themselves touch is none of them."""
    path = place.path
    if not path.is_dir():
        yield from (path, path.with_name(f"{path.name}-wal"))
    elif is_recorded(place):
        for file in (path / FILE, *sorted(path.glob(f"*/{FILE}"))):
            yield from (file, file.with_name(f"{FILE}-wal"))
    else:
        whole = (f for f in path.rglob("*") if not f.name.endswith("-shm"))
        yield from islice(whole, MOST_FILES)


def changed_at(state: State) -> float:
    """When a file of the place was last written, in seconds since the epoch."""
    return max((ns for _, _, ns in state), default=0) / 1e9


def is_recorded(place: Place) -> bool:
    """Whether this is a run directory of unstuck's own."""
    return place.source.name == "unstuck-run"


def patience(run: Run, place: Place) -> float:
    """Seconds without a change after which a run counts as ended; 0 where it says that it has."""
    if run.facts.keys() & ENDS:
        return 0.0
    if is_recorded(place) and not any(f.name.endswith("-wal") for f in _files(place) if f.exists()):
        return 0.0  # the writer has closed it
    return min(max(QUIET, QUIET_STEPS * _usual_gap(run)), LONGEST_QUIET)


def _usual_gap(run: Run) -> float:
    """The longest of the last pauses between readings of the series that was read last."""
    walls = [s.wall[-10:] for s in run.series.values() if s.wall is not None and len(s) > 1]
    walls = [w[np.isfinite(w)] for w in walls]
    last = max((w for w in walls if w.size > 1), key=lambda w: float(w[-1]), default=None)
    return float(np.diff(last).max()) if last is not None else 0.0


def speed(it: Run) -> float:
    """Steps a second over the last readings that have a wall time; 0 where that is not known."""
    if "seconds/step" in it.series and len(it.series["seconds/step"]):
        seconds = float(it.series["seconds/step"].value[-1])
        return 1 / seconds if seconds > 0 else 0.0
    timed = [s for s in it.series.values() if s.wall is not None and len(s) > 1]
    longest = max(timed, key=len, default=None)
    if longest is None or longest.wall is None:
        return 0.0
    steps, walls = longest.step[-50:], longest.wall[-50:]
    elapsed = float(walls[-1] - walls[0])
    return float(steps[-1] - steps[0]) / elapsed if elapsed > 0 else 0.0


def grown(run: Run, place: Place) -> Run | None:
    """The run with the readings its record has got since; None where it must be read anew.

    Old readings are taken as they are, so that the cost is that of the new ones.
    """
    file = place.path / FILE if place.path.is_dir() else place.path
    if not is_recorded(place) or any(place.path.glob(f"*/{FILE}")):
        return None
    series = dict(run.series)
    with opened(file) as connection:
        left = MOST_ROWS
        for number, name in connection.execute("SELECT id, name FROM series").fetchall():
            known = series.get(str(name))
            since = int(known.step[-1]) if known is not None and len(known) else -math.inf
            rows = connection.execute(
                "SELECT step, value, wall FROM reading WHERE series = ? AND step >= ? "
                "ORDER BY step LIMIT ?",
                (number, max(since, -(2**62)), left),
            ).fetchall()
            left -= len(rows)
            if left <= 0:
                return None
            if rows:
                series[str(name)] = _continued(known, str(name), _columns(rows))
    return replace(run, series=series)


Columns = tuple[NDArray[np.int64], Floats, Floats]  # step, value, wall time


def _columns(rows: list[tuple[int, float | None, float | None]]) -> Columns:
    step, value, wall = zip(*rows, strict=True)
    return (
        np.array(step, dtype=np.int64),
        np.array([math.nan if v is None else v for v in value], dtype=np.float64),
        np.array([math.nan if w is None else w for w in wall], dtype=np.float64),
    )


def _continued(known: Series | None, name: str, new: Columns) -> Series:
    """Old readings and new ones; the first new one is the last old one, perhaps corrected."""
    if known is None or not len(known):
        return Series(name, new[0], new[1], new[2])
    old_wall = known.wall if known.wall is not None else np.full(len(known), math.nan)
    keep = known.step < new[0][0]
    return Series(
        name,
        np.concatenate((known.step[keep], new[0])),
        np.concatenate((known.value[keep], new[1])),
        np.concatenate((old_wall[keep], new[2])),
    )
