"""raise-clip-limit: let usual gradients through and clip only outbursts.

## What it changes
`clip/<optimizer>` is off: the script's own `clip_grad_norm_` does nothing; and, as steps then mean
what the rate says, the same with a tenth of the rate. In the script: a limit of about twice the
usual norm, as it is before clipping (the value that `clip_grad_norm_` returns).

## What is expected
A loss that crept down in steps of one length falls at the pace of the learning rate.

## When it does not help
Under optimizers that divide the scale of the gradient out (Adam and the like) little changes. Where
gradients explode at every step, the limit only hides it.

## Origin
- Pascanu, Mikolov & Bengio, On the Difficulty of Training Recurrent Neural Networks, 2013 (a limit
  of half to ten times the average norm), <https://arxiv.org/abs/1211.5063>

>>> from unstuck import Finding, Run
>>> run = Run.of(lr__sgd=[0.1] * 9)
>>> [t.changes for t in raise_clip_limit(run, Finding("OPT013", "sgd", "", ()))]
[{'clip/sgd': 'off'}, {'clip/sgd': 'off', 'lr/sgd': 'x0.1'}]
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy
from unstuck.signals.inventory import optimizers_of


@remedy("OPT013", safety="changes-training")
def raise_clip_limit(run: Run, finding: Finding) -> Iterator[Treatment]:
    for name in optimizers_of(run, finding.where)[:1]:
        for lower in ({}, {f"lr/{name}": "x0.1"}):  # a rate may have been raised to make up for it
            told = " and its learning rate x0.1" if lower else ""
            yield Treatment(
                name=f"gradients of {name} not clipped{told}",
                remedy="raise-clip-limit",
                changes={f"clip/{name}": "off", **lower},
                expectation="the loss falls at the pace of the learning rate and ends lower",
                answers=(finding.code,),
            )
