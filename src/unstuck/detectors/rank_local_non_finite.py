"""DST003 rank-local-non-finite: the loss of one rank is NaN or infinite before that of the others.

## Why is this bad?
The average of the gradients carries one rank's NaN to all of them; one step later every copy of the
model is lost, and every log looks alike. Where it began says what to look at: the data of that
rank, or its device.

## How it is detected
The first step at which a `loss/*` is not finite differs between the ranks. It is an *error* where
the losses of that rank stay so to the end, and an *info* where training went on: somebody skipped
that step.

## Example
>>> from unstuck import Run
>>> nan = float("nan")
>>> lost = Run.of(loss__train=[1.0] * 9 + [nan] * 9, rank__1__loss__train=[1.0] * 8 + [nan] * 10,
...               rank__2__loss__train=[1.0] * 9 + [nan] * 9)
>>> [(f.where, f.message, f.severity) for f in rank_local_non_finite(lost)]
[('rank 1', 'on rank 1 loss/train is not finite at step 8, before the 2 other ranks', 'error')]
>>> skipped = Run.of(loss__train=[1.0] * 18, rank__1__loss__train=[1.0] * 8 + [nan] + [1.0] * 9)
>>> [f.severity for f in rank_local_non_finite(skipped)]
['info']

## Look-alikes
A loss that is lost on all ranks at once (`non-finite-loss`), and ranks that stay finite:

>>> list(rank_local_non_finite(Run.of(loss__train=[1.0] * 8 + [nan] * 9,
...                                   rank__1__loss__train=[1.0] * 8 + [nan] * 9)))
[]
>>> list(rank_local_non_finite(Run.of(loss__train=[1.0] * 9, rank__1__loss__train=[9.0] * 9)))
[]

## What to try
`drop-broken-samples`, `compute-loss-in-float32`

## References
- PyTorch, Distributed Data Parallel, <https://docs.pytorch.org/docs/stable/notes/ddp.html>
- Dixit et al., Silent Data Corruptions at Scale, 2021, <https://arxiv.org/abs/2102.11245>
"""

from collections.abc import Iterator

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series
from unstuck.signals.names import shown
from unstuck.signals.ranks import by_rank


@detector("DST003", needs=("loss/*", "rank/*/loss/*"), explains=("NUM001", "OPT003"))
def rank_local_non_finite(run: Run) -> Iterator[Finding]:
    told: set[int] = set()
    for loss in run.matching("loss/*"):
        ranks = {r: s for r, s in by_rank(run, loss.name).items() if len(s) > 1}
        first = {r: step for r, s in ranks.items() if (step := _first_lost(s)) is not None}
        if len(ranks) < 2 or not first:
            continue
        began = min(first.values())
        local = [r for r, step in first.items() if step == began]
        if len(local) == len(ranks) or told & set(local):
            continue
        rank = local[0]
        told.add(rank)
        yield _finding(loss.name, rank, ranks[rank], began, len(ranks) - len(local))


def _first_lost(series: Series) -> int | None:
    lost = np.flatnonzero(~np.isfinite(series.value))
    return int(series.step[lost[0]]) if lost.size else None


def _finding(loss: str, rank: int, series: Series, began: int, others: int) -> Finding:
    to_the_end = not np.isfinite(series.value[series.step >= began]).any()
    last = int(series.step[-1]) if to_the_end else began
    return Finding(
        "DST003",
        where=f"rank {rank}",
        message=(
            f"on rank {rank} {shown(loss)} is not finite at step {began}, "
            f"before the {others} other rank{'s' if others > 1 else ''}"
        ),
        evidence=(Evidence(series, "not finite", 0.0, (began, last)),),
        severity="error" if to_the_end else "info",
    )
