"""How far a training had come when an experiment asked what its model gives back."""

import math
from collections.abc import Iterator

from unstuck.records import Evidence, Op, Run
from unstuck.signals.known import known


def echoing(run: Run) -> Iterator[str]:
    """The models that were asked, by name."""
    yield from sorted({name.split("/")[1] for name in run.facts_matching("echo/*/asked")})


def told(run: Run, model: str, what: str) -> float:
    """A fact of the probe echo as a number; NaN where it is absent."""
    return known(run, f"echo/{model}/{what}", math.nan)


def updates(run: Run, model: str) -> int:
    """Steps the training had made: its optimizer's own count, or those that were recorded."""
    own = told(run, model, "steps")
    return max(int(own) if own == own and abs(own) < 1e15 else 0, run.last_step)


def all_along(run: Run, name: str, op: Op, limit: float) -> Evidence:
    """Evidence on a fact of the model as it is now, when it is not known since when.

    It counts from the start, so that what follows from it can be told to be its symptom.
    """
    last = Evidence.of_fact(run, name, op, limit)
    return Evidence(last.series, op, limit, (0, last.span[1]))
