"""give-each-step-its-own-gradients: call `zero_grad` once between two steps, and nowhere else.

## What it changes
`zero_grad/<optimizer>`: gradients are cleared after each step and at no other time, whatever the
script does. In the script: `optimizer.zero_grad()` right after `optimizer.step()`, or before the
first backward pass that belongs to the next step; with accumulation, outside the loop over
micro-batches; with several networks, that of the optimizer that steps next.

## What is expected
`carried_gradient` and `discarded_gradient` are zero; `accumulated_passes` is the number of
micro-batches that were meant.

## When it does not help
Where gradients are meant to fade slowly; momentum does that with one number. A learning rate that
was tuned with gradients kept or lost has to be tuned again.

## Origin
- PyTorch, Optimizer.zero_grad,
  <https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.zero_grad.html>

>>> from unstuck import Finding, Run
>>> run = Run.of(lr__sgd=[0.3] * 9)
>>> [t.changes for t in give_each_step_its_own_gradients(run, Finding("OPT009", "sgd", "", ()))]
[{'zero_grad/sgd': 'after-step'}]
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy
from unstuck.signals.inventory import optimizers_of


@remedy("OPT009", "OPT011", safety="safe")
def give_each_step_its_own_gradients(run: Run, finding: Finding) -> Iterator[Treatment]:
    chosen = optimizers_of(run, finding.where)
    if chosen:
        yield Treatment(
            name=f"gradients of {' and '.join(chosen)} cleared after each step",
            remedy="give-each-step-its-own-gradients",
            changes={f"zero_grad/{name}": "after-step" for name in chosen},
            expectation="no gradient is carried over or lost, and the loss ends lower",
            answers=(finding.code,),
        )
