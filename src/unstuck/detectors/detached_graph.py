"""GRD004 detached-graph: the loss does not reach layers that ran: behind them the graph was cut.

## Why is this bad?
`detach()`, `.data`, a round trip through numpy or a new tensor of old numbers gives the next layer
values without a way back. It learns; everything in front of it stays as it was initialised.

## How it is detected
`cut_off/<optimizer>` is the share of the optimizer's parameter tensors whose layers ran, got no
gradient, and whose output another layer was fed without its graph: above `SOME` at every reading.
It is a *warning*; where the loss falls below `LEARNS` of its start all the same, an *info*: then
features may be meant to stay as they are.

A script that knows which tensors a term of its loss is meant to teach may say what share of them
the term gives no gradient: the fact `meant/<term>/unreached` (`unstuck.note`), above `SOME`. The
loss may fall all the same: other terms teach them.

## Example
>>> from unstuck import Run
>>> def cut(share, end=1.9):
...     return Run.of(cut_off__adam=[share] * 30, loss__train=[2.3] * 10 + [end] * 20,
...                   facts={"cut_off/adam/at": "net.encoder.2 -> net.head.0"})
>>> [(finding.message, finding.severity) for finding in detached_graph(cut(0.5))]
[('50% of the tensors of adam are cut off from the loss at net.encoder.2 -> net.head.0,
since step 0', 'warning')]
>>> [finding.severity for finding in detached_graph(cut(0.035))]
['warning']
>>> [finding.severity for finding in detached_graph(cut(0.5, end=1.3))]
['warning']
>>> def meant(share):
...     return Run.of(facts={"meant/const_loss/unreached": share})
>>> [finding.message for finding in detached_graph(meant(0.5))]
['term const_loss gives no gradient to 50% of the tensors that it is meant to teach']

## Look-alikes
A stop that one side of a pair has while the other has none, straight-through rounding and frozen
layers that are in no optimizer count nothing. One head among many, a part that is cut off in a
later stage, and features that serve as they are:

>>> detached_graph(cut(0.0))
[]
>>> detached_graph(cut(0.025)) + detached_graph(meant(0.0)) + detached_graph(meant(0.025))
[]
>>> detached_graph(Run.of(cut_off__adam=[0.0] * 10 + [0.5] * 20))
[]
>>> [finding.severity for finding in detached_graph(cut(0.5, end=0.9))]
['info']

## What to try
`reattach-graph`

## References
- PyTorch, Autograd Mechanics, <https://docs.pytorch.org/docs/stable/notes/autograd.html>
- Bengio et al., Estimating or Propagating Gradients Through Stochastic Neurons (the
  straight-through estimator), 2013, <https://arxiv.org/abs/1308.3432>
"""

from collections.abc import Iterator

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run
from unstuck.signals.known import from_the_start, known
from unstuck.signals.levels import median, share_left
from unstuck.signals.names import shown

SOME = 0.03  # share of the tensors; healthy runs had none, cut ones a third and more (LOG.md)
LEARNS = 0.5  # share of the loss left; with cut-off encoders 0.6 or more was left (LOG.md)


@detector(
    "GRD004",
    needs=("cut_off/*",),
    or_facts=("meant/*/unreached",),
    explains=("COL004", "GEN002", "GRD001", "GRD005", "LOS002", "OPT004"),
)
def detached_graph(run: Run) -> Iterator[Finding]:
    for cut in run.matching("cut_off/*"):
        if len(cut) < 2 or not np.all(cut.value > SOME):
            continue
        optimizer = cut.name.split("/", 1)[1]
        place = str(run.facts.get(f"cut_off/{optimizer}/at", ""))
        learns = any(share_left(s) < LEARNS for s in run.matching("loss/*"))
        yield Finding(
            "GRD004",
            where=optimizer,
            message=(
                f"{median(cut):.0%} of the tensors of {shown(optimizer, 14)} are cut off from the "
                f"loss{' at ' + shown(place, 40) if place else ''}, since step {cut.step[0]}"
            ),
            evidence=(Evidence(cut, ">", SOME, (int(cut.step[0]), int(cut.step[-1]))),),
            severity="info" if learns else "warning",
        )
    for name in run.facts_matching("meant/*/unreached"):
        unreached = known(run, name)
        if unreached > SOME:
            term = name.split("/")[1]
            yield Finding(
                "GRD004",
                where=term,
                message=(
                    f"term {shown(term, 24)} gives no gradient to {unreached:.0%} of the tensors "
                    "that it is meant to teach"
                ),
                evidence=(from_the_start(run, name, ">", SOME),),
            )
