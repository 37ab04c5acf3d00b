"""How a number changes with depth, from the first layers of a model to its last."""

from collections.abc import Sequence

import numpy as np

from unstuck.records import Floats, Series
from unstuck.signals.align import divided, together


def first_over_last(layers: Sequence[Series], name: str) -> tuple[Series, float]:
    """Median of the first third of the layers over that of the last, and how ordered they are.

    The order is Kendall's tau between depth and the first reading of each layer: 1 where every
    layer lies above the one before it. Both are empty where fewer than three layers were read
    at the same steps.
    """
    if len(layers) < 3:
        return Series(name, np.zeros(0, np.int64), np.zeros(0)), 0.0
    steps, values = together(layers)
    if not steps.size:
        return Series(name, steps, np.zeros(0)), 0.0
    return Series(name, steps, thirds(values)), tau(values[:, 0])


def thirds(values: Floats) -> Floats:
    """Median of the first third of the layers (rows) over that of the last, step by step."""
    count = len(values) // 3
    return divided(np.median(values[:count], axis=0), np.median(values[-count:], axis=0))


def tau(values: Floats) -> float:
    """Kendall's tau between the values and their places; ties count nothing."""
    before, after = np.triu_indices(len(values), 1)
    with np.errstate(invalid="ignore"):
        signs = np.sign(values[after] - values[before])
    return float(np.mean(np.nan_to_num(signs))) if signs.size else 0.0
