"""give-to-optimizer: hand every trained parameter to an optimizer.

## What it changes
`orphans/<optimizer>`: the parameters that get gradients and belong to no optimizer join one before
its first step; the one that trains the rest of their model, else each in turn. In the script: the
optimizer is built after the model is complete, from `model.parameters()`; modules kept in plain
lists move to `nn.ModuleList`; later ones come in through `add_param_group`.

## What is expected
The orphaned share falls to zero, these layers begin to move, and the loss ends lower.

## When it does not help
Where they are frozen on purpose: set `requires_grad_(False)`, which also saves the backward pass.

## Origin
- PyTorch, torch.optim, <https://docs.pytorch.org/docs/stable/optim.html>

>>> from unstuck import Finding, Run
>>> run = Run.of({}, {"parameters/net": 9}, lr__adam=[0.3] * 9)
>>> [t.changes for t in give_to_optimizer(run, Finding("OPT010", "net", "", ()))]
[{'orphans/adam': 'added'}]
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy
from unstuck.signals.inventory import optimizers_of

MOST = 3


@remedy("OPT010", safety="changes-training")
def give_to_optimizer(run: Run, finding: Finding) -> Iterator[Treatment]:
    for name in optimizers_of(run, finding.where)[:MOST]:
        yield Treatment(
            name=f"orphaned parameters join {name}",
            remedy="give-to-optimizer",
            changes={f"orphans/{name}": "added"},
            expectation="no parameter is orphaned any more, and the loss ends lower",
            answers=(finding.code,),
        )
