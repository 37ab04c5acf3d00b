"""reattach-graph: let the loss reach the parameters it is meant to train.

## What it changes
Remove the `detach()`, `.data`, `.item()`, `torch.no_grad()` or `argmax` between the parameters and
the loss; call the branch that is never called, or take it out of the optimizer.

## What is expected
The parameters or the term get a gradient; `gradient_reach` rises to one.

## When it does not help
Where the stop is meant: a frozen network, a target network, a stop-gradient. Then take its
parameters out of the optimizer.

## Origin
- PyTorch, Autograd Mechanics, <https://docs.pytorch.org/docs/stable/notes/autograd.html>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("GRD004", "GRD005", "LOS002", safety="advice")
def reattach_graph(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
