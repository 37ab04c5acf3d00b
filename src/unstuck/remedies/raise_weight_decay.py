"""raise-weight-decay: shrink the weights a little more at each step.

## What it changes
`weight_decay/<optimizer>`, times 3 and times 10; where there is none, what is usual: 0.1 for AdamW,
5e-4 for SGD. Under Adam, where it is a part of the gradient, none is begun with.

## What is expected
The gap between training and validation narrows, and the best validation metric is better.

## When it does not help
Where the model is small for its data; under Adam with L2 in the loss it hardly acts.

## Origin
- Loshchilov & Hutter, Decoupled Weight Decay Regularization, 2019,
  <https://arxiv.org/abs/1711.05101>
- Zagoruyko & Komodakis, Wide Residual Networks, 2016 (5e-4, SGD), <https://arxiv.org/abs/1605.07146>
- Touvron et al., Training Data-efficient Image Transformers, 2021, table 9 (0.05 to 0.1, AdamW),
  <https://arxiv.org/abs/2012.12877>

>>> from unstuck import Finding, Run
>>> run = Run.of({}, {"optimizer/sgd": "SGD"}, lr__sgd=[0.1] * 9, weight_decay__sgd=[0.0] * 9)
>>> [t.changes for t in raise_weight_decay(run, Finding("GEN001", "metric/val/loss", "", ()))]
[{'weight_decay/sgd': 0.0005}]
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy
from unstuck.signals.inventory import optimizers_of
from unstuck.signals.levels import median

FACTORS = ("x3", "x10")  # half a decade and a decade
USUAL = {"AdamW": 0.1, "SGD": 5e-4}


@remedy("GEN001", "CAP001", safety="changes-training")
def raise_weight_decay(run: Run, finding: Finding) -> Iterator[Treatment]:
    decays = {n: run.series.get(f"weight_decay/{n}") for n in optimizers_of(run, finding.where)}
    known = {name: median(decay) for name, decay in decays.items() if decay is not None}
    decaying = [name for name, level in known.items() if level > 0]
    every: list[dict[str, str | float]] = [dict.fromkeys(decaying, f) for f in FACTORS if decaying]
    if known and not decaying:
        kinds = {name: str(run.facts.get(f"optimizer/{name}", "")) for name in known}
        every = [{name: USUAL[kind] for name, kind in kinds.items() if kind in USUAL}]
    for values in (v for v in every if v):
        told = ", ".join(f"{name} {value}" for name, value in values.items())
        yield Treatment(
            name=f"weight decay of {told}",
            remedy="raise-weight-decay",
            changes={f"weight_decay/{name}": value for name, value in values.items()},
            expectation="the best validation metric is better than that of the untreated run",
            answers=(finding.code,),
        )
