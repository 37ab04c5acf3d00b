"""DST001 drifting-replicas: the ranks' copies of a model differ, though they are meant to be one.

## Why is this bad?
Data parallel training averages the gradients of all ranks, so that every copy makes the same steps.
Copies that differ are trained apart, each on its own part of the data, or take gradients that were
computed at other weights than theirs; what is saved is the model of one rank.

## How it is detected
`replica_gap/<model>`, the largest distance between two ranks' parameters as a share of their norm,
is above `SAME` from some step to the end, for at least `LASTING` of the run, and never falls below
`KEPT` of what it was. Copies that make the same steps are bitwise the same. Parts of a model (FSDP,
tensor and pipeline parallel) are no copies and are not compared, nor are the running statistics of
BatchNorm.

## Example
Gradients that are not averaged; a model that one rank loaded or initialised for itself:

>>> from unstuck import Run
>>> apart = Run.of(replica_gap__net=[0.0] + [0.002 * i for i in range(1, 40)])
>>> [(f.message, f.severity) for f in drifting_replicas(apart)]
[("the ranks' copies of net have differed since step 1, now by 7.8% of their norm", 'warning')]
>>> len(list(drifting_replicas(Run.of(replica_gap__net=[1.4] * 30))))
1
>>> len(list(drifting_replicas(Run.of(replica_gap__net=[0.00012] * 30))))
1
>>> late = Run.of(replica_gap__net=[0.0] * 16 + [0.01 + i / 1000 for i in range(24)])
>>> len(list(drifting_replicas(late)))
1
>>> sags = Run.of(replica_gap__net=[0.01] * 10 + [0.005] * 20)
>>> len(list(drifting_replicas(sags)))
1

## Look-alikes
The last digits of different devices, copies that are averaged every so many steps (local SGD,
DiLoCo) and drift in between, and a difference that has only just begun:

>>> list(drifting_replicas(Run.of(replica_gap__net=[0.00008] * 30)))
[]
>>> list(drifting_replicas(Run.of(replica_gap__net=[0.001, 0.002, 0.003, 0.0, 0.001] * 8)))
[]
>>> list(drifting_replicas(Run.of(replica_gap__net=[0.01] * 10 + [0.003] * 20)))
[]
>>> list(drifting_replicas(Run.of(replica_gap__net=[0.0] * 24 + [0.01] * 16)))
[]

## What to try
`use-data-parallel-wrapper`

## References
- PyTorch, Distributed Data Parallel, <https://docs.pytorch.org/docs/stable/notes/ddp.html>
- Lin et al., Don't Use Large Mini-Batches, Use Local SGD, 2018, <https://arxiv.org/abs/1808.07217>
- Johnson & Lindenstrauss, Extensions of Lipschitz mappings into a Hilbert space, 1984
"""

from collections.abc import Iterator

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run
from unstuck.signals.names import shown
from unstuck.signals.spans import between, last_span_beyond

SAME = 1e-4  # of the norm; copies of healthy runs were bitwise the same, sick ones 0.2 (LOG.md)
LASTING = 0.5  # of the run; averaged copies come together again and again (LOG.md)
KEPT = 0.4  # of its largest so far; sick runs kept 0.62 or more, local SGD fell to 0 (LOG.md)


@detector("DST001", needs=("replica_gap/*",))
def drifting_replicas(run: Run) -> Iterator[Finding]:
    for gap in run.matching("replica_gap/*"):
        span = last_span_beyond(gap, ">", SAME, at_least=LASTING * run.last_step)
        if span is None:
            continue
        apart = between(gap, *span).value
        if np.any(apart < KEPT * np.maximum.accumulate(apart)):
            continue
        model = gap.name.split("/", 1)[1]
        yield Finding(
            "DST001",
            where=model,
            message=(
                f"the ranks' copies of {shown(model, 30)} have differed since step {span[0]}, "
                f"now by {min(apart[-1], 99.0):.1%} of their norm"
            ),
            evidence=(Evidence(gap, ">", SAME, span),),
        )
