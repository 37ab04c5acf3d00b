"""give-each-step-its-own-gradients: call `zero_grad` once between two steps, and nowhere else.

## What it changes
`optimizer.zero_grad()` right after `optimizer.step()`, or before the first backward pass that
belongs to the next step; with accumulation, outside the loop over micro-batches; with several
networks, that of the optimizer that steps next.

## What is expected
`carried_gradient` and `discarded_gradient` are zero; `accumulated_passes` is the number of
micro-batches that were meant.

## When it does not help
Where gradients are meant to fade slowly; momentum does that with one number. A learning rate that
was tuned with gradients kept or lost has to be tuned again.

## Origin
- PyTorch, Optimizer.zero_grad,
  <https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.zero_grad.html>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("OPT009", "OPT011", safety="advice")
def give_each_step_its_own_gradients(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
