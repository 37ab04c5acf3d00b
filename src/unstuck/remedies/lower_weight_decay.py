"""lower-weight-decay: take less away from the weights in each step.

## What it changes
`weight_decay/<optimizer>`, where it has any: to a tenth, a hundredth, and nothing. 1e-4 is usual
for SGD, 0.01 to 0.1 for AdamW. What is right for AdamW is not for Adam, where decay is a part of
the gradient. Of a discriminator that decayed to nothing: its own.

## What is expected
The norms of the weights settle, and the loss falls.

## When it does not help
Where the gradient is nothing from the start: then norms shrink because there is nothing against it.

## Origin
- Loshchilov & Hutter, Decoupled Weight Decay Regularization, 2019,
  <https://arxiv.org/abs/1711.05101>

>>> from unstuck import Finding, Run
>>> run = Run.of(lr__sgd=[0.1] * 9, weight_decay__sgd=[0.3] * 9)
>>> [t.changes for t in lower_weight_decay(run, Finding("OPT014", "sgd", "", ()))]
[{'weight_decay/sgd': 'x0.1'}, {'weight_decay/sgd': 'x0.01'}, {'weight_decay/sgd': 'x0'}]
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy
from unstuck.signals.inventory import discriminators_optimizers, optimizers_of
from unstuck.signals.levels import median

FACTORS = ("x0.1", "x0.01", "x0")


@remedy("OPT014", "ADV005", safety="changes-training")
def lower_weight_decay(run: Run, finding: Finding) -> Iterator[Treatment]:
    if finding.code == "ADV005":
        near = discriminators_optimizers(run)
    else:
        near = optimizers_of(run, finding.where)
    decays = {name: run.series.get(f"weight_decay/{name}") for name in near}
    chosen = [name for name, decay in decays.items() if decay is not None and median(decay) > 0]
    for factor in FACTORS if chosen else ():
        yield Treatment(
            name=f"weight decay of {' and '.join(chosen)} {factor}",
            remedy="lower-weight-decay",
            changes={f"weight_decay/{name}": factor for name in chosen},
            expectation="the norms of the weights settle, and the loss falls",
            answers=(finding.code,),
        )
