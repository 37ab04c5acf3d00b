"""OPT009 uncleared-gradients: gradients of earlier steps are still there when new ones are added.

## Why is this bad?
PyTorch adds to what is in `.grad`. Where `zero_grad` is forgotten, or stands in the wrong loop,
every step goes along the sum of all gradients so far: momentum that never fades, with steps that
grow. A run may learn all the same, only worse than it would.

## How it is detected
`carried_gradient/<optimizer>` compares what was in the gradients before a backward pass with what
the optimizer then steps with; of several passes between two steps the emptiest moment counts. Its
median stays above `CARRIED`. Gradients that are cleared once between two steps score zero.

## Example
>>> from unstuck import Run
>>> left = [0.5, 0.7] + [0.98] * 20
>>> [finding.message for finding in uncleared_gradients(Run.of(carried_gradient__sgd=left))]
['gradients left from earlier steps of sgd are 0.98 times those it steps with, since step 0']
>>> len(uncleared_gradients(Run.of(carried_gradient__sgd=[0.3] * 20)))
1

## Look-alikes
Accumulation over micro-batches, two optimizers that fill each other's gradients, closures and
two-pass methods, all of which clear once between two steps; a few steps that were skipped; and
gradients faded by hand:

>>> uncleared_gradients(Run.of(carried_gradient__sgd=[0.0] * 20))
[]
>>> uncleared_gradients(Run.of(carried_gradient__sgd=[0.0, 0.0, 0.9] * 7))
[]
>>> uncleared_gradients(Run.of(carried_gradient__sgd=[0.2] * 20))
[]

## What to try
`give-each-step-its-own-gradients`

## References
- PyTorch, Optimizer.zero_grad,
  <https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.zero_grad.html>
"""

from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run
from unstuck.signals.levels import median
from unstuck.signals.names import shown
from unstuck.signals.spans import longest_span_beyond

CARRIED = 0.25  # of the gradient stepped with; healthy runs had 0, uncleared ones 0.95 up (LOG.md)


@detector(
    "OPT009",
    needs=("carried_gradient/*",),
    explains=(
        "ACT001",
        "GEN002",
        "GRD001",
        "LOS002",
        "NUM001",
        "OPT001",
        "OPT003",
        "OPT004",
        "OPT005",
        "OPT007",
        "OPT013",
    ),
)
def uncleared_gradients(run: Run) -> Iterator[Finding]:
    for carried in run.matching("carried_gradient/*"):
        level = median(carried)
        span = longest_span_beyond(carried, ">", CARRIED)
        if level > CARRIED and span is not None:
            optimizer = carried.name.split("/", 1)[1]
            yield Finding(
                "OPT009",
                where=optimizer,
                message=(
                    f"gradients left from earlier steps of {shown(optimizer, 30)} are {level:.2g} "
                    f"times those it steps with, since step {span[0]}"
                ),
                evidence=(Evidence(carried, ">", CARRIED, span),),
            )
