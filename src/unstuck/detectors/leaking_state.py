"""SEQ002 leaking-state: each backward pass goes through the graphs of the ones before it, too.

## Why is this bad?
A state that is carried from chunk to chunk without `detach` brings its whole past along: the n-th
backward pass walks n chunks, so time grows with the square of their number and memory with their
number, for gradients that are the same as those of one pass over their sum.

## How it is detected
`history/<loss>`, how many earlier backward passes of the loss its graph reaches back beyond, is
above `FEW` at every reading of at least `FOR_STEPS` steps, to the end.

## Example
>>> from unstuck import Run
>>> run = Run.of(history__loss=[3.0] * 30)
>>> [finding.message for finding in leaking_state(run)]
['the graph of loss reaches back beyond 3 earlier backward passes since step 0']

## Look-alikes
Losses of several tasks that share one graph, a state that is let go of after two chunks, a network
that was played back through its past for a while, and the first steps of a run:

>>> leaking_state(Run.of(history__loss=[1.0] * 30)) + leaking_state(Run.of(history__loss=[2] * 30))
[]
>>> leaking_state(Run.of(history__loss=[3.0] * 20 + [0.0] * 10))
[]
>>> leaking_state(Run.of(history__loss=[3.0] * 15))
[]

## What to try
`stop-gradient-between-chunks`

## References
- Williams & Peng, An Efficient Gradient-Based Algorithm for On-Line Training of Recurrent Network
  Trajectories, 1990, <https://doi.org/10.1162/neco.1990.2.4.490>
- PyTorch, `torch.Tensor.detach`, <https://pytorch.org/docs/stable/generated/torch.Tensor.detach.html>
"""

from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run
from unstuck.signals.levels import end_level
from unstuck.signals.names import shown
from unstuck.signals.spans import last_span_beyond

FEW = 2  # passes; tasks on one trunk reach back 1, held states as far as there are chunks (LOG.md)
FOR_STEPS = 20  # steps; a habit, not one long first sequence


@detector("SEQ002", needs=("history/*",))
def leaking_state(run: Run) -> Iterator[Finding]:
    for series in run.matching("history/*"):
        span = last_span_beyond(series, ">", FEW, at_least=FOR_STEPS)
        if span is None:
            continue
        loss = series.name.split("/", 1)[1]
        yield Finding(
            "SEQ002",
            where=loss,
            message=(
                f"the graph of {shown(loss)} reaches back beyond {end_level(series):.0f} earlier "
                f"backward passes since step {span[0]}"
            ),
            evidence=(Evidence(series, ">", FEW, span),),
        )
