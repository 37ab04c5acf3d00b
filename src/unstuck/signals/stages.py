"""When did a run turn to training something else?

A script may train one network after the other (an autoencoder, then a model of its codes) in one
loop, under one name of the loss. The second network's loss owes nothing to the first one's level.
"""

from itertools import pairwise

import numpy as np

from unstuck.records import Run, Series
from unstuck.signals.levels import FIRST
from unstuck.signals.spans import between

JUMP = 0.5  # of the larger level; a second network's loss began a hundred times higher (LOG.md)
WHOLE = 0.9  # share of the run its learning rates must reach: some logs note them only at first


def stage_starts(run: Run) -> list[int]:
    """First steps of the stages after the first, in order.

    A stage begins where an optimizer makes its first step after all earlier ones made their last,
    and moves layers that none of them moved. Optimizers that take turns are one stage, and so is
    one that is made anew for the same network. A log says nothing of layers: there a new learning
    rate that takes over from the earlier ones may begin a stage (see `by_stage`).
    """
    starts, latest, seen = [], None, set[str]()
    for first, last, layers in _optimizers(run) or _learning_rates(run):
        if latest is not None and first > latest and layers and not layers & seen:
            starts.append(first)
        latest = last if latest is None else max(latest, last)
        seen |= layers
    return starts


def by_stage(run: Run, series: Series) -> list[Series]:
    """The series cut at the run's stages; whole where there is one stage only.

    In a log a stage is believed where the series jumps: the loss of the same network under a new
    optimizer begins where it was.
    """
    starts = stage_starts(run)
    if not run.matching("update_ratio/*"):
        starts = [start for start in starts if _jumps(series, start)]
    edges = [None, *starts, None]
    parts = [
        between(series, first, None if end is None else end - 1) for first, end in pairwise(edges)
    ]
    return [part for part in parts if len(part)]


def _jumps(series: Series, step: int) -> bool:
    """Whether the first reading from a step on lies far from the last ones before it."""
    before, after = between(series, None, step - 1), between(series, step, None)
    if not len(before) or not len(after):
        return True
    old, new = float(np.median(before.value[-FIRST:])), float(after.value[0])
    return not abs(new - old) <= JUMP * max(abs(new), abs(old))


def _optimizers(run: Run) -> list[tuple[int, int, set[str]]]:
    """First and last step of each watched optimizer and the layers it moves, by first step."""
    found: dict[str, tuple[list[int], list[int], set[str]]] = {}
    for series in run.matching("update_ratio/*"):
        if len(series):
            _, optimizer, *layer = series.name.split("/", 2)
            firsts, lasts, layers = found.setdefault(optimizer, ([], [], set()))
            firsts.append(int(series.step[0]))
            lasts.append(int(series.step[-1]))
            layers.update(layer)
    return sorted((min(f), max(t), layers) for f, t, layers in found.values())


def _learning_rates(run: Run) -> list[tuple[int, int, set[str]]]:
    """The same from a log: every learning rate stands for layers of its own.

    An epoch's line may hold the rate that ends in it and the one that begins there, so an end is
    taken to come before the step it was read at. A rate noted once says nothing of an end.
    """
    rates: dict[str, list[Series]] = {}
    for series in run.matching("lr/*"):
        if len(series) > 1:
            rates.setdefault(series.name.split("/")[1], []).append(series)
    spans = sorted(
        (min(int(s.step[0]) for s in group), max(int(s.step[-1]) for s in group) - 1, {name})
        for name, group in rates.items()
    )
    reached = max((last for _, last, _ in spans), default=0)
    return spans if reached >= WHOLE * run.last_step - 1 else []
