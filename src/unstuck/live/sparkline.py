"""A series in one line of text, and parts of a whole as a bar."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from unstuck.records import Floats, Series
from unstuck.report.scale import LOG_FROM

BLOCKS = "▁▂▃▄▅▆▇█"
PLAIN_BLOCKS = "_.,:-=+#"  # for terminals that have no other signs
FILLS = "█▓▒░▞·"
PLAIN_FILLS = "#=+-:."
NOT_FINITE = "!"


def sparkline(series: Series, width: int, blocks: str = BLOCKS) -> str:
    """The series in `width` columns of equal span; a reading that is not finite shows as `!`.

    Of several readings in a column the one farthest from the median is kept: no spike is lost. A
    reading stands until the next one.

    >>> sparkline(Series("loss", np.arange(8), np.arange(8.0)), 8)
    '▁▂▃▄▅▆▇█'
    >>> sparkline(Series("loss", np.arange(3), np.array([1.0, np.nan, 1.0])), 3)
    '▁!▁'
    """
    if not len(series) or width < 1:
        return ""
    value = _scaled(series.value)
    finite = np.isfinite(value)
    middle = np.median(value[finite]) if finite.any() else 0.0
    strange = np.where(finite, np.abs(value - middle), np.inf)
    step = series.step.astype(np.float64) - float(series.step[0])
    at = np.minimum(step * width / (step[-1] + 1), width - 1).astype(int)
    columns = np.full(width, np.inf)  # nothing was read here
    order = np.argsort(strange, kind="stable")
    columns[at[order]] = np.where(finite, value, np.nan)[order]
    low, high = (value[finite].min(), value[finite].max()) if finite.any() else (0.0, 0.0)
    read = np.maximum.accumulate(np.where(np.isposinf(columns), 0, np.arange(width)))
    columns = columns[read]
    level = (columns - low) / (high - low or 1.0) * (len(blocks) - 1)
    return "".join(NOT_FINITE if np.isnan(one) else blocks[round(float(one))] for one in level)


def _scaled(value: Floats) -> Floats:
    """Logarithms where the finite values are positive and span decades; bounded otherwise."""
    finite = value[np.isfinite(value)]
    if finite.size and finite.min() > 0 and np.log10(finite.max() / finite.min()) > LOG_FROM:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.log10(value))
    return np.where(np.isfinite(value), np.clip(value, -1e300, 1e300), value) / 4


def bar(shares: Sequence[float], width: int, fills: str = FILLS) -> str:
    """Shares of one whole as a bar of `width` signs, each share with its own.

    >>> bar([0.5, 0.25, 0.25], 8)
    '████▓▓▒▒'
    """
    edges = np.round(np.cumsum([0.0, *np.nan_to_num(shares)]) * width).astype(int).tolist()
    parts = [fills[min(i, len(fills) - 1)] * (b - a) for i, (a, b) in enumerate(pairwise(edges))]
    return "".join(parts)[:width].ljust(width)
