"""CAP002 undersized-model: the model cannot learn a few samples, and a larger one does better.

## Why is this bad?
What the model cannot express, no rate, no patience and no further data will teach it.

## How it is detected
The probe `overfit-one-batch` says that a handful of samples is not learned by heart without
regularisation, at any of its rates; that nothing blocks the gradient or the output; and that the
last third of its longest attempt took off less than `LEVEL` of what was left. Where `MUCH` of the
way to the floor of the loss, if that is known, is left, it is an *info*, since noisy answers to a
few numbers cannot be learned by heart, and need not be. Where the probe `capacity` says that a
plain network of two hidden layers brings the loss on samples that none has seen below the model's
own divided by `BETTER`, it is a *warning*.

## Example
>>> from unstuck import Run
>>> def run(left=0.4, fall=0.05, larger=None, floor=0.0, **more):
...     facts = {"share": left, "floor": floor, "reached": left < 0.05, **more}
...     facts |= {"falling": fall, "samples": 16}
...     facts = {f"overfit/net/{name}": value for name, value in facts.items()}
...     if larger is not None:
...         facts |= {"capacity/net/larger_unseen": larger, "capacity/net/unseen": 1.2}
...     return Run.of(facts=facts)
>>> [finding.message for finding in undersized_model(run(larger=0.3))]
['net cannot learn 16 samples by heart (40% is left); a larger one gets 0.3 on unseen ones, it 1.2']
>>> [(f.message, f.severity) for f in undersized_model(run())]
[('net cannot learn 16 samples by heart: 40% of the way to the floor of the loss is left', 'info')]
>>> runs = run(0.07, larger=0.55), run(0.28), run(fall=0.22)
>>> [f.severity for r in runs for f in undersized_model(r)]
['warning', 'info', 'info']

## Look-alikes
A model that learns them, one that is still at it, one whose gradient is blocked, and a little left
of a regression on noise, which a larger model does not do better:

>>> undersized_model(run(0.03, larger=0.3)) + undersized_model(run(fall=0.4, larger=0.3))
[]
>>> undersized_model(run(blocked="no gradient", larger=0.3)) + undersized_model(run(0.15))
[]
>>> [f.severity for f in undersized_model(run(0.5, larger=0.8))]
['info']
>>> undersized_model(run(0.1, larger=0.8)) + undersized_model(run(floor="not known"))
[]

## What to try
`raise-capacity`

## References
- Zhang et al., Understanding Deep Learning Requires Rethinking Generalization, 2017,
  <https://arxiv.org/abs/1611.03530>
"""

import math
from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Finding, Run
from unstuck.signals.known import from_the_start
from unstuck.signals.names import shown
from unstuck.signals.probed import number, told_of

# All three: networks on digits, lines and waves (LOG.md).
LEVEL = 0.3  # of what was left; undersized models took off up to 0.23, learning ones 0.4 and more
MUCH = 0.2  # of the way to the floor; autoencoders with narrow codes kept up to 0.1
BETTER = 2.0  # times; beside undersized models 3.5 and more, beside sound ones up to 1.2


@detector(
    "CAP002",
    needs_facts=("overfit/*/share", "overfit/*/falling"),
    sharpened_by=("capacity/*/larger_unseen",),
    explains=("GEN002", "OPT004"),
)
def undersized_model(run: Run) -> Iterator[Finding]:
    beside = told_of(run, "capacity")
    for model, of in told_of(run, "overfit").items():
        left, samples = number(of, "share", math.nan), number(of, "samples", 0)
        if of.get("reached") is not False or of.get("blocked"):
            continue
        if not number(of, "falling", 1.0) < LEVEL:
            continue
        other = beside.get(model, {})
        own, larger = (number(other, what, math.nan) for what in ("unseen", "larger_unseen"))
        name = shown(model, 20)
        if own > BETTER * larger > 0:
            yield Finding(
                "CAP002",
                where=model,
                message=(
                    f"{name} cannot learn {samples:.0f} samples by heart ({left:.0%} is left); a "
                    f"larger one gets {larger:.2g} on unseen ones, it {own:.2g}"
                ),
                evidence=(
                    from_the_start(run, f"capacity/{model}/unseen", ">", BETTER * larger),
                    from_the_start(run, f"overfit/{model}/falling", "<", LEVEL),
                ),
            )
        elif left > MUCH and math.isfinite(number(of, "floor", math.nan)):
            yield Finding(
                "CAP002",
                where=model,
                message=(
                    f"{name} cannot learn {samples:.0f} samples by heart: {left:.0%} of the way to "
                    "the floor of the loss is left"
                ),
                evidence=(from_the_start(run, f"overfit/{model}/share", ">", MUCH),),
                severity="info",
            )
