"""Where does a series start and where does it end?

Levels are medians over several readings, so that one odd batch moves nothing.
"""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from unstuck.records import Series
from unstuck.signals.spans import finite

FIRST = 5  # readings that make the start: a loss may have fallen far within a hundredth of a run
LAST_SHARE = 0.1  # of the readings make the end, and never fewer than FIRST


def start_level(series: Series) -> float:
    """Median of the first finite readings; NaN where there is none."""
    value = finite(series).value
    return float(np.median(value[:FIRST])) if value.size else math.nan


def end_level(series: Series) -> float:
    """Median of the last tenth of the finite readings; NaN where there is none."""
    value = finite(series).value
    count = max(FIRST, int(LAST_SHARE * value.size))
    return float(np.median(value[-count:])) if value.size else math.nan


def last_median(series: Series) -> Series:
    """The level at the end as a series of one reading: what evidence of it rests on."""
    return Series(f"{series.name} (last median)", series.step[-1:], np.array([end_level(series)]))


def running_median(series: Series) -> Series:
    """Medians of five readings around each, the outermost repeated: odd ones are gone."""
    if not len(series):
        return series
    around = sliding_window_view(np.pad(series.value, FIRST // 2, mode="edge"), FIRST)
    medians = np.median(around, axis=1)
    return Series(f"{series.name} (running median)", series.step, medians)


def share_left(series: Series) -> float:
    """End over start of a positive series; NaN where the start is not positive."""
    start = start_level(series)
    return end_level(series) / start if start > 0 else math.nan


def median(series: Series) -> float:
    """Median of the finite readings; NaN where there is none."""
    value = finite(series).value
    return float(np.median(value)) if value.size else math.nan
