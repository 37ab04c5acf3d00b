"""update-every-network: let each optimizer step after the passes that are meant for it.

## What it changes
The condition in front of `optimizer.step()`: count micro-batches over the whole run and not anew
in each epoch, or step once more at the end of an epoch; with several networks, the optimizer that
is stepped in each place.

## What is expected
The optimizer's first step comes with the first batches; `update_ratio` is above zero and its loss
begins to fall.

## When it does not help
Where a network is meant to stay as it is; then make no optimizer for it and switch its gradients
off.

## Origin
- PyTorch, torch.optim, "Taking an optimization step",
  <https://docs.pytorch.org/docs/stable/optim.html>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("OPT015", safety="advice")
def update_every_network(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
