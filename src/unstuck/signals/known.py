"""Facts as numbers, and as evidence."""

import numpy as np

from unstuck.records import Evidence, Op, Run, Series


def known(run: Run, name: str, otherwise: float = 0.0) -> float:
    """A fact as a number, or what is to be taken where it is absent or no number."""
    value = run.facts.get(name)
    return float(value) if isinstance(value, int | float) else otherwise


def from_the_start(run: Run, name: str, op: Op, limit: float) -> Evidence:
    """Evidence on what has been so since before the first step, whenever it was measured."""
    series = Series(name, np.array([0]), np.array([known(run, name)]))
    return Evidence(series, op, limit, (0, 0))
