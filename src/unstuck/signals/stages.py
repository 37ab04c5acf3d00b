"""When did a run turn to training something else?

A script may train one network after the other (an autoencoder, then a model of its codes) in one
loop, under one name of the loss. The second network's loss owes nothing to the first one's level.
"""

from itertools import pairwise

from unstuck.records import Run, Series
from unstuck.signals.spans import between


def stage_starts(run: Run) -> list[int]:
    """First steps of the stages after the first, in order.

    A stage begins where an optimizer makes its first step after all earlier ones made their last,
    and moves layers that none of them moved. Optimizers that take turns are one stage, and so is
    one that is made anew for the same network.
    """
    spans = sorted(
        (min(first), max(last), layers) for first, last, layers in _optimizers(run).values()
    )
    starts, latest, seen = [], None, set[str]()
    for first, last, layers in spans:
        if latest is not None and first > latest and layers and not layers & seen:
            starts.append(first)
        latest = last if latest is None else max(latest, last)
        seen |= layers
    return starts


def by_stage(run: Run, series: Series) -> list[Series]:
    """The series cut at the run's stages; whole where there is one stage only."""
    edges = [None, *stage_starts(run), None]
    parts = [
        between(series, first, None if end is None else end - 1) for first, end in pairwise(edges)
    ]
    return [part for part in parts if len(part)]


def _optimizers(run: Run) -> dict[str, tuple[list[int], list[int], set[str]]]:
    """First and last steps of each optimizer's readings, and the layers it moves."""
    found: dict[str, tuple[list[int], list[int], set[str]]] = {}
    for series in run.matching("update_ratio/*"):
        if len(series):
            _, optimizer, *layer = series.name.split("/", 2)
            firsts, lasts, layers = found.setdefault(optimizer, ([], [], set()))
            firsts.append(int(series.step[0]))
            lasts.append(int(series.step[-1]))
            layers.update(layer)
    return found
