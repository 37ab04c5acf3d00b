"""Short excursions of a series above its own course, from which it comes back."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unstuck.records import Floats, Series
from unstuck.signals.levels import start_level
from unstuck.signals.spans import finite
from unstuck.signals.windows import WINDOWS, in_windows

FEWEST = 60  # readings: fewer cannot tell a jump from noise
IN_WINDOW = 20  # readings at least, for a ninth decile
BEGIN = 0.1  # share of the readings that is left out: a loss that falls fast has no course yet
APART = 10  # readings: excursions that are nearer are one
AROUND = 3  # windows on either side whose noise counts


@dataclass(frozen=True, slots=True)
class Jump:
    """One excursion: its first step, that of its highest reading, and how high that is."""

    since: int
    at: int
    height: float  # above the course, in units of the series
    noises: float  # the same in ninth deciles of the noise around
    course: float  # the level it jumped from


@dataclass(frozen=True, slots=True)
class Course:
    """A series, the level it has at each reading, its noise there, and how far it fell in all."""

    series: Series
    level: Floats
    noise: Floats
    gain: float


def course_of(series: Series) -> Course | None:
    """Level and noise by window; None for a series that is short or that never fell.

    The noise is the ninth decile of the distances to the level, the median over some windows, so
    that neither rare jumps nor heavy tails hide in it.
    """
    clean = finite(series)
    if len(clean) < FEWEST:
        return None
    calm = in_windows(clean, int(np.clip(len(clean) // IN_WINDOW, 4, WINDOWS)))
    stops = np.searchsorted(clean.step, calm.step, "right")
    starts = np.insert(stops[:-1], 0, 0)
    middle = (clean.step[starts] + clean.step[stops - 1]) / 2
    level = np.interp(clean.step, middle, calm.value)
    away = np.abs(clean.value - level)
    decile = [float(np.percentile(away[a:b], 90)) for a, b in zip(starts, stops, strict=True)]
    near = [np.median(decile[max(0, i - AROUND) : i + AROUND + 1]) for i in range(len(decile))]
    gain = start_level(clean) - float(calm.value.min())
    if not (gain > 0 and np.isfinite(gain)):
        return None
    return Course(clean, level, np.repeat(np.array(near), stops - starts), gain)


def jumps(course: Course, noises: float) -> list[Jump]:
    """The excursions of more than so many noises above the course, in order."""
    height = course.series.value - course.level
    with np.errstate(over="ignore", invalid="ignore"):
        out = np.divide(height, course.noise, out=np.zeros_like(height), where=course.noise > 0)
    late = np.arange(height.size) >= BEGIN * height.size
    return [_jump(course, height, out, group) for group in _groups((out > noises) & late)]


def _groups(mask: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """The indices where `mask` is true, those that are near each other together."""
    found = np.flatnonzero(mask)
    return np.split(found, np.flatnonzero(np.diff(found) > APART) + 1) if found.size else []


def _jump(course: Course, height: Floats, out: Floats, group: NDArray[np.int64]) -> Jump:
    top = int(group[np.argmax(height[group])])
    step = course.series.step
    return Jump(
        since=int(step[group[0]]),
        at=int(step[top]),
        height=float(height[top]),
        noises=float(out[top]),
        course=float(course.level[top]),
    )


def period_of(found: list[Jump]) -> int:
    """The steps between jumps that come at regular intervals (some may be left out); 0 if not.

    Every interval is a whole multiple of the shortest, within a tenth of it: three intervals at
    random do that in one of twenty-five cases.
    """
    gaps = np.diff([jump.since for jump in found])
    if gaps.size < 2:
        return 0
    shortest = float(gaps.min())
    multiple = gaps / shortest
    return round(shortest) if bool(np.all(np.abs(multiple - multiple.round()) <= 0.1)) else 0
