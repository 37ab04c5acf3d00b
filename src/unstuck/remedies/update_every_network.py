"""update-every-network: let each optimizer step after the passes that are meant for it.

## What it changes
`steps/<optimizer>`: an optimizer that the script never steps makes a step after each backward pass
that reaches it. In the script, the condition in front of `optimizer.step()`: count micro-batches
over the whole run and not anew in each epoch, or step once more at the end of an epoch; with
several networks, the optimizer that is stepped in each place.

## What is expected
The optimizer's first step comes with the first batches; `update_ratio` is above zero and its loss
begins to fall.

## When it does not help
Where a network is meant to stay as it is; then make no optimizer for it and switch its gradients
off.

## Origin
- PyTorch, torch.optim, "Taking an optimization step",
  <https://docs.pytorch.org/docs/stable/optim.html>

>>> from unstuck import Finding, Run
>>> run = Run.of(loss__train=[2.3] * 5, facts={"idle/opt_G": 256, "idle/opt_D": 0})
>>> [t.changes for t in update_every_network(run, Finding("OPT015", "opt_G", "", ()))]
[{'steps/opt_G': 'each-backward'}]
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("OPT015", safety="changes-training")
def update_every_network(run: Run, finding: Finding) -> Iterator[Treatment]:
    passes = {n.split("/", 1)[1]: v for n, v in run.facts_matching("idle/*").items()}
    idle = [name for name, count in passes.items() if isinstance(count, int | float) and count > 0]
    if idle:
        yield Treatment(
            name=f"{' and '.join(idle)} stepped after each backward pass",
            remedy="update-every-network",
            changes={f"steps/{name}": "each-backward" for name in idle},
            expectation="the loss begins to fall and ends below that of the untreated run",
            answers=(finding.code,),
        )
