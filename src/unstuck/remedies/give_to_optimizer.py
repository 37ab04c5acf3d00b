"""give-to-optimizer: hand every trained parameter to an optimizer.

## What it changes
The optimizer is built after the model is complete, from `model.parameters()`; modules kept in plain
lists move to `nn.ModuleList`; later ones come in through `add_param_group`.

## What is expected
The orphaned share falls to zero and these layers begin to move.

## When it does not help
Where they are frozen on purpose: set `requires_grad_(False)`, which also saves the backward pass.

## Origin
- PyTorch, torch.optim, <https://docs.pytorch.org/docs/stable/optim.html>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("OPT010", safety="advice")
def give_to_optimizer(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
