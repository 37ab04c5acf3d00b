"""rescale-schedule: give the schedule the length of the run.

## What it changes
A schedule counted in epochs (`StepLR(30)`, `MultiStepLR`, `T_max=epochs`) is stepped once an epoch;
one that is stepped at every batch gets its length in batches, epochs times batches an epoch, less
where gradients are accumulated.

## What is expected
The learning rate falls over the whole run, and so does the loss.

## When it does not help
Where the rate was lowered because the loss had stopped falling: it would have stayed flat.

## Origin
- PyTorch, How to adjust learning rate, <https://pytorch.org/docs/stable/optim.html>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("OPT006", safety="advice")
def rescale_schedule(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
