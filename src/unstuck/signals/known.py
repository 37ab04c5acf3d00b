"""Facts as numbers, and as evidence."""

import numpy as np

from unstuck.records import Evidence, Op, Run, Series


def known(run: Run, name: str) -> float:
    """A fact as a number; 0 where it is absent or no number."""
    value = run.facts.get(name, 0.0)
    return float(value) if isinstance(value, int | float) else 0.0


def from_the_start(run: Run, name: str, op: Op, limit: float) -> Evidence:
    """Evidence on what is true of the data before the first step, whenever it was measured."""
    series = Series(name, np.array([0]), np.array([known(run, name)]))
    return Evidence(series, op, limit, (0, 0))
