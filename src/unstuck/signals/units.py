"""What is one step of a run: an update of the weights, or a whole pass over the data?

A log with one line an epoch has averages of very many steps as its readings. What must last for
some steps then has to last for some epochs, and the first reading already is a level.
"""

import math

from unstuck.records import Run, Series
from unstuck.signals.levels import start_level
from unstuck.signals.spans import finite


def counts_epochs(run: Run) -> bool:
    """Whether a step of the run is an epoch, so that a reading is the mean of one."""
    return run.facts.get("step/unit") == "epoch"


def lasting(run: Run, *, steps: float, epochs: float) -> float:
    """How long something must last, in the run's own steps."""
    return epochs if counts_epochs(run) else steps


def first_level(run: Run, series: Series) -> float:
    """Where a series starts: the first epoch's mean, or else the median of the first readings."""
    if not counts_epochs(run):
        return start_level(series)
    value = finite(series).value
    return float(value[0]) if value.size else math.nan
