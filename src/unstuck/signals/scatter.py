"""How far apart are neighbouring readings of a metric that is read a few dozen times?"""

import math

import numpy as np

from unstuck.records import Floats

KEPT = 0.9  # share of the differences: one odd evaluation in ten is no scatter
OF_NORMAL = 0.66  # mean of the smallest 90 % of |x| for a normal x of unit spread


def scatter(value: Floats) -> float:
    """Standard deviation of the readings around a slow course; NaN for fewer than three.

    From a trimmed mean of the absolute differences of neighbours. A median would be zero for the
    accuracy of two samples, which takes three values only.
    """
    if value.size < 3:
        return math.nan
    apart = np.sort(np.abs(np.diff(value)))
    kept = apart[: math.ceil(KEPT * apart.size)]
    return float(kept.mean()) / OF_NORMAL / math.sqrt(2)
