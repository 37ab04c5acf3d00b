"""How much does a series jump from one reading to the next, whatever its trend?"""

import math

import numpy as np

from unstuck.records import Series
from unstuck.signals.levels import FIRST
from unstuck.signals.spans import finite

CLEAR = 4.0  # standard errors; a normal start is as far off in 1 of 16,000 runs
MAD_TO_STD = 1.4826  # for a normal distribution: Rousseeuw & Croux, JASA 1993


def noise_scale(series: Series) -> float:
    """Standard deviation of the readings around a smooth course, from second differences.

    Those of a straight line are zero, so a trend is no noise, and their median absolute value
    ignores spikes (Gasser, Sroka & Jennen-Steinmetz, Biometrika 1986, made robust). NaN for fewer
    than three readings.
    """
    value = finite(series).value
    if value.size < 3:
        return math.nan
    with np.errstate(over="ignore", invalid="ignore"):  # values near the largest there are
        return MAD_TO_STD * float(np.median(np.abs(np.diff(value, 2)))) / math.sqrt(6)


def clear_margin(series: Series) -> float:
    """How far a level must lie from the start of a series to differ from it clearly.

    `CLEAR` standard errors of a median of the first readings (pi/2 times the variance of a
    mean); 0 where the noise is not known.
    """
    noise = noise_scale(series)
    return CLEAR * noise * math.sqrt(math.pi / 2 / FIRST) if math.isfinite(noise) else 0.0
