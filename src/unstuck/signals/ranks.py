"""What the ranks of one training recorded, side by side."""

import re
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from unstuck.records import Floats, Run, Series
from unstuck.signals.spans import finite

PARTS = 4  # of a run, each looked at for itself: what lasts shows in all of them
NOTHING: tuple[NDArray[np.int64], dict[int, Floats]] = np.array([], dtype=np.int64), {}
_OTHER = re.compile(r"rank/(\d{1,6})/(.+)")


def by_rank(run: Run, name: str) -> dict[int, Series]:
    """A series as each rank recorded it.

    >>> sorted(by_rank(Run.of(loss__a=[1.0], rank__2__loss__a=[1.0]), "loss/a"))
    [0, 2]
    """
    told = run.facts.get("ranks/index", 0)
    first = told if isinstance(told, int) else 0
    found = {first: run.series[name]} if name in run.series else {}
    for other in run.matching(f"rank/*/{name}"):
        match = _OTHER.fullmatch(other.name)
        if match and match[2] == name:
            found[int(match[1])] = other
    return found


def in_parts(series: dict[int, Series]) -> tuple[NDArray[np.int64], dict[int, Floats]]:
    """The median of each rank in every part of the stretch all of them recorded.

    Gives the last step of each part as well. The first reading is left out: it is of the start.
    """
    kept = {rank: finite(s) for rank, s in series.items()}
    kept = {rank: Series(s.name, s.step[1:], s.value[1:]) for rank, s in kept.items()}
    if not kept or any(len(s) < PARTS for s in kept.values()):
        return NOTHING
    first = max(int(s.step[0]) for s in kept.values())
    last = min(int(s.step[-1]) for s in kept.values())
    edges = np.linspace(first, last + 1, PARTS + 1)
    found: dict[int, Floats] = {}
    for rank, s in kept.items():
        at = np.searchsorted(s.step, edges)
        if np.any(np.diff(at) == 0):
            return NOTHING
        found[rank] = np.array([np.median(s.value[a:b]) for a, b in pairwise(at)])
    return edges[1:].astype(np.int64) - 1, found
