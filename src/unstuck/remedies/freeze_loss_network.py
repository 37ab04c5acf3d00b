"""freeze-loss-network: switch off gradients of a network that only measures.

## What it changes
`network.requires_grad_(False).eval()` for a perceptual or feature loss.

## What is expected
Less memory and time for each backward pass; the training itself is unchanged.

## When it does not help
Where the network is meant to be trained: give it to an optimizer.

## Origin
- PyTorch, Autograd Mechanics, <https://docs.pytorch.org/docs/stable/notes/autograd.html>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("OPT010", safety="advice")
def freeze_loss_network(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
