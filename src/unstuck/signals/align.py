"""Several series at the steps at which all of them were read."""

from collections.abc import Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from unstuck.records import Floats, Series


def together(series: Sequence[Series]) -> tuple[NDArray[np.int64], Floats]:
    """The common steps (n,) and the values there (series, n)."""
    steps = reduce(lambda a, b: np.intersect1d(a, b, assume_unique=True), [s.step for s in series])
    return steps, np.stack([s.value[np.searchsorted(s.step, steps)] for s in series])


def over(top: Series, bottom: Series, name: str) -> Series:
    """One series divided by another; NaN where the divisor is not positive."""
    steps, (a, b) = together([top, bottom])
    return Series(name, steps, divided(a, b))


def divided(a: Floats, b: Floats) -> Floats:
    """a / b; NaN where b is not positive or both are infinite."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.divide(a, b, out=np.full_like(a, np.nan), where=b > 0)
