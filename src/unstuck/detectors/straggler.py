"""DST002 straggler: one rank needs longer than the others, who wait for it at every step.

## Why is this bad?
Ranks that average their gradients step together: all of them are as fast as the slowest. One with a
slow disk, a busy processor or more to compute costs the time of all.

## How it is detected
`seconds/own` is what a rank needs for its data and its forward passes, before it waits for others
(the time of a whole step is the same everywhere). In each quarter of the run one rank's median is
above that of the others by more than `SHARE` of a step. Medians, so that a rank that validates or
saves now and then is none.

## Example
>>> from unstuck import Run
>>> slow = Run.of(seconds__step=[0.10] * 30, seconds__own=[0.03] * 30,
...               rank__1__seconds__own=[0.08] * 30, rank__2__seconds__own=[0.03] * 30)
>>> [(f.where, f.message) for f in straggler(slow)]
[('rank 1', 'rank 1 needs 0.05 s a step longer than the others before its backward pass: 50% of
each step since step 7')]
>>> less = Run.of(seconds__step=[0.10] * 30, seconds__own=[0.055] * 30,
...               rank__1__seconds__own=[0.03] * 30)
>>> [f.where for f in straggler(less)]
['rank 0']

## Look-alikes
A small difference, a rank that validates and saves for all, ranks that take turns because their
samples differ in size, and one that was slow for a while:

>>> list(straggler(Run.of(seconds__step=[0.10] * 30, seconds__own=[0.045] * 30,
...                       rank__1__seconds__own=[0.03] * 30)))
[]
>>> list(straggler(Run.of(seconds__step=[0.10] * 30, seconds__own=[0.03, 0.03, 0.03, 2.0, 0.03] * 6,
...                       rank__1__seconds__own=[0.03] * 30)))
[]
>>> list(straggler(Run.of(seconds__step=[0.10] * 40, seconds__own=[0.03] * 20 + [0.08] * 20,
...                       rank__1__seconds__own=[0.08] * 20 + [0.03] * 20)))
[]
>>> list(straggler(Run.of(seconds__step=[0.10] * 40, seconds__own=[0.03] * 20 + [0.08] * 20,
...                       rank__1__seconds__own=[0.03] * 40)))
[]

## What to try
`give-ranks-equal-work`

## References
- Dean & Barroso, The Tail at Scale, CACM 2013, <https://doi.org/10.1145/2408776.2408794>
- Jiang et al., MegaScale (stragglers among 12,288 GPUs), 2024, <https://arxiv.org/abs/2402.15627>
"""

from collections.abc import Iterator

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Floats, Run, Series
from unstuck.signals.levels import median
from unstuck.signals.ranks import by_rank, in_parts

SHARE = 0.2  # of a step in every quarter; healthy runs had 0.02 at most, sick ones 0.31 (LOG.md)


@detector("DST002", needs=("seconds/step", "seconds/own", "rank/*/seconds/own"))
def straggler(run: Run) -> Iterator[Finding]:
    step = median(run.series["seconds/step"])
    steps, own = in_parts(by_rank(run, "seconds/own"))
    if len(own) < 2 or not step > 0:
        return
    rank = max(own, key=lambda r: float(own[r].min()))
    with np.errstate(over="ignore", invalid="ignore"):
        others: Floats = np.median([own[r] for r in own if r != rank], axis=0)
        longer = own[rank] - others
        share = Series(f"rank {rank}: own time beyond the others', of a step", steps, longer / step)
        if not np.all(share.value > SHARE):
            return
    yield Finding(
        "DST002",
        where=f"rank {rank}",
        message=(
            f"rank {rank} needs {np.median(longer):.2g} s a step longer than the others before its "
            f"backward pass: {np.median(share.value):.0%} of each step since step {int(steps[0])}"
        ),
        evidence=(Evidence(share, ">", SHARE, (int(steps[0]), int(steps[-1]))),),
    )
