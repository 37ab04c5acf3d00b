"""Single readings far above their neighbours, and whether they come back at a fixed place."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unstuck.records import Floats, Series
from unstuck.signals.noise import MAD_TO_STD
from unstuck.signals.spans import finite

AROUND = 21  # readings whose median is the level a reading is compared with
AT_A_TIME = 50_000  # windows in memory
AROUND_NOISE = 101  # readings whose median deviation is the noise there: it falls with the loss

Steps = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Recurrence:
    """Steps of a series that lie one period apart, and how many of those places there were."""

    steps: Steps
    period: int
    places: int


def around(series: Series) -> Series:
    """The median around each finite reading."""
    clean = finite(series)
    level = running_median(clean.value, AROUND) if len(clean) else clean.value
    return Series(f"{series.name} (median)", clean.step, level)


def excess(series: Series) -> Series:
    """How far each finite reading lies above the median around it, in local noise scales.

    Zero where there is no noise to compare with.
    """
    clean = finite(series)
    name = f"{series.name} (over its noise)"
    if not len(clean):
        return Series(name, clean.step, clean.value)
    with np.errstate(over="ignore", invalid="ignore"):
        above = clean.value - around(clean).value
        noise = MAD_TO_STD * running_median(np.abs(above), AROUND_NOISE)
        ratio = np.divide(above, noise, out=np.zeros_like(above), where=noise > 0)
    return Series(name, clean.step, np.nan_to_num(ratio, posinf=0.0, neginf=0.0))


def running_median(value: Floats, width: int) -> Floats:
    """Median of the `width` (odd) values around each one, mirrored at both ends.

    scipy.ndimage.median_filter, its twin in the tests, takes a third of a diagnosis to import.
    """
    padded = np.pad(value, width // 2, mode="symmetric")
    found = np.empty_like(value)
    for start in range(0, value.size, AT_A_TIME):
        part = padded[start : start + AT_A_TIME + width - 1]
        windows = np.lib.stride_tricks.sliding_window_view(part, width)
        middle = np.partition(windows, width // 2, axis=1)[:, width // 2]
        found[start : start + AT_A_TIME] = middle
    return found


def onsets(series: Series, limit: float) -> Steps:
    """Steps of readings above a limit whose predecessor is not: a spike's echo is no second one."""
    high = series.value > limit
    return series.step[high & ~np.insert(high[:-1], 0, values=False)] if high.size else series.step


def at_fixed_places(steps: Steps, shortest: int) -> Recurrence | None:
    """The steps that lie whole periods of at least `shortest` apart; None for fewer than three.

    The period is the commonest distance between neighbours, the place in it the commonest one.
    """
    apart = Counter(int(d) for d in np.diff(steps) if d >= shortest)
    if not apart:
        return None
    period = max(apart, key=lambda d: (apart[d], -d))
    place = Counter((steps % period).tolist()).most_common(1)[0][0]
    hits = steps[steps % period == place]
    if hits.size < 3:
        return None
    return Recurrence(hits, period, int((hits[-1] - hits[0]) // period) + 1)


def in_each(steps: Steps, parts: Series) -> Floats:
    """How many of the steps fall into each part of a run (an `epoch` series), whole parts only."""
    clean = finite(parts)
    if len(clean) < 2:
        return np.zeros(0)
    starts = clean.step[np.insert(np.diff(clean.value) != 0, 0, values=True)]
    counts, _ = np.histogram(steps, bins=starts) if starts.size > 1 else (np.zeros(0), None)
    return np.asarray(counts, dtype=np.float64)
