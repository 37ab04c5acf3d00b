"""Does a series rise or fall, and how surely?"""

from dataclasses import dataclass

from scipy import stats

from unstuck.records import Series
from unstuck.signals.spans import length
from unstuck.signals.windows import in_windows

CONFIDENCE = 0.95
FEWEST = 4  # windows; with three the interval of a slope spans everything


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

    Median of the pairwise slopes of its windows (Theil 1950, Sen 1968) with Sen's interval.
    """
    calm = in_windows(series)
    if len(calm) < FEWEST:
        return None
    slope, _, low, high = stats.theilslopes(calm.value, calm.step, alpha=CONFIDENCE)
    steps = length(calm)
    return Trend(float(slope) * steps, float(low) * steps, float(high) * steps)
