"""Does a series rise or fall, and how surely?"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from unstuck.records import Series
from unstuck.signals.spans import length
from unstuck.signals.windows import in_windows

CONFIDENCE = 0.95
FEWEST = 4  # windows; with three the interval of a slope spans everything
Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


@dataclass(frozen=True, slots=True)
class Trend:
    """Change of a series over its whole length with its interval, in units of the series."""

    change: float
    low: float
    high: float

    @property
    def falls(self) -> bool:
        return self.high < 0

    @property
    def rises(self) -> bool:
        return self.low > 0


def trend(series: Series) -> Trend | None:
    """The robust linear trend of a series; None where there are too few readings.

    Median of the pairwise slopes of its windows (Theil 1950, Sen 1968) with Sen's interval, his
    equation 2.6. scipy.stats.theilslopes, its twin in the tests, takes 0.7 s to import: as long as
    a whole diagnosis.
    """
    calm = in_windows(series)
    if len(calm) < FEWEST:
        return None
    earlier, later = np.triu_indices(len(calm), 1)
    steps = (calm.step[later] - calm.step[earlier]).astype(np.float64)
    with np.errstate(over="ignore"):
        slopes = np.sort((calm.value[later] - calm.value[earlier]) / steps)
    reach = Z * math.sqrt(_variance(calm))
    low = max(round((slopes.size - reach) / 2) - 1, 0)
    high = min(round((slopes.size + reach) / 2), slopes.size - 1)
    whole = length(calm)
    return Trend(*(float(s) * whole for s in (np.median(slopes), slopes[low], slopes[high])))


def _variance(calm: Series) -> float:
    """Variance of Kendall's score where there is no trend; equal values lower it."""
    n, (_, ties) = len(calm), np.unique(calm.value, return_counts=True)
    lowered = float(np.sum(ties * (ties - 1) * (2 * ties + 5)))
    return (n * (n - 1) * (2 * n + 5) - lowered) / 18
