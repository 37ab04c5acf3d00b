"""A long noisy series as a short calm one: medians over equal windows of steps."""

import numpy as np

from unstuck.records import Series
from unstuck.signals.spans import finite

FEW = 10  # where each level must be sure: medians of 2 % noise over 30 readings are within 0.5 %
WINDOWS = 40  # enough to place an onset to 2.5 % of a run, few enough for pairwise slopes


def in_windows(series: Series, count: int = WINDOWS) -> Series:
    """Medians of the finite readings in at most `count` windows of equal length in steps.

    A window's step is that of its last reading, so steps stay those of true readings; a window
    without a reading is absent. Cost: one sort of the readings, whatever their number.
    """
    clean = finite(series)
    name = f"{series.name} (median)"
    if not len(clean):
        return Series(name, clean.step, clean.value)
    edges = np.linspace(clean.step[0], clean.step[-1], count + 1)[1:-1]
    stops = np.unique(np.append(np.searchsorted(clean.step, edges, "right"), len(clean)))
    stops = stops[stops > 0]
    starts = np.insert(stops[:-1], 0, 0)
    medians = [np.median(clean.value[a:b]) for a, b in zip(starts, stops, strict=True)]
    return Series(name, clean.step[stops - 1], np.array(medians))
