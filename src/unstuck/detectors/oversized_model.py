"""CAP001 oversized-model: it learns its few samples by heart and gains nothing by it on others.

## Why is this bad?
What it has learned is the noise of its few samples. A far smaller model does better with them.

A count of parameters is no evidence for this: models with a thousand parameters a sample
generalise well. So it is only said beside a smaller one, on samples that neither has seen.

## How it is detected
The probe `capacity` lets the model go on training and trains a linear map on the same data, which
must be all of the training data. At the end the model's loss on these is below `BY_HEART` of that
on held-out samples, and the latter above `LOST` times the loss of the best constant answer; while
the linear map, which has fewer parameters, is below `GAINS` times the constant's.

## Example
>>> from unstuck import Run
>>> def run(train=0.01, unseen=1.5, smaller=0.5, complete=True, parameters=300_000):
...     facts = {"train": train, "unseen": unseen, "chance": 1.0, "complete": complete,
...              "parameters": parameters, "smaller_unseen": smaller, "smaller_parameters": 650,
...              "samples": 80}
...     return Run.of(facts={f"capacity/net/{name}": value for name, value in facts.items()})
>>> [finding.message for finding in oversized_model(run())]
['net learned 80 samples by heart: loss 1.5 on others, where a constant gives 1, a linear map 0.5']
>>> len(oversized_model(run(unseen=1.0)) + oversized_model(run(smaller=0.7)))
2
>>> len(oversized_model(run(train=0.4)))
1

## Look-alikes
A model that generalises, one that does better than a constant, data that a linear map cannot learn
either, a model that has not learned its samples, a part of the data, and a model as small:

>>> oversized_model(run(unseen=0.3)) + oversized_model(run(unseen=0.85))
[]
>>> oversized_model(run(smaller=0.9)) + oversized_model(run(train=0.6))
[]
>>> oversized_model(run(complete=False)) + oversized_model(run(parameters=650))
[]

## What to try
`lower-capacity`, `augment-data`, `raise-weight-decay`

## References
- Zhang et al., Understanding Deep Learning Requires Rethinking Generalization, 2017,
  <https://arxiv.org/abs/1611.03530>
- Nakkiran et al., Deep Double Descent, 2020, <https://arxiv.org/abs/1912.02292>
"""

import math
from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Finding, Run
from unstuck.signals.known import from_the_start
from unstuck.signals.names import shown
from unstuck.signals.probed import number, told_of

# All three: wide networks on few noisy samples, and sound ones on digits (LOG.md).
BY_HEART = 0.3  # of the loss on held-out samples; what was learned by heart came below 0.01
LOST = 0.9  # of the loss of a constant; sound models came to 0.48 of it at most
GAINS = 0.8  # of the constant's loss


@detector("CAP001", needs_facts=("capacity/*/smaller_unseen",), explains=("GEN001",))
def oversized_model(run: Run) -> Iterator[Finding]:
    for model, of in told_of(run, "capacity").items():
        train, unseen, chance, smaller, own_size, size = (
            number(of, what, math.nan)
            for what in (
                "train",
                "unseen",
                "chance",
                "smaller_unseen",
                "parameters",
                "smaller_parameters",
            )
        )
        by_heart = train < BY_HEART * unseen and own_size > size
        if of.get("complete") is not True or not by_heart:
            continue
        if not (unseen > LOST * chance and smaller < GAINS * chance):
            continue
        yield Finding(
            "CAP001",
            where=model,
            message=(
                f"{shown(model, 16)} learned {number(of, 'samples', 0):.0f} samples by heart: loss "
                f"{unseen:.3g} on others, where a constant gives {chance:.3g}, a linear map "
                f"{smaller:.3g}"
            ),
            evidence=(
                from_the_start(run, f"capacity/{model}/unseen", ">", LOST * chance),
                from_the_start(run, f"capacity/{model}/train", "<", BY_HEART * unseen),
                from_the_start(run, f"capacity/{model}/smaller_unseen", "<", GAINS * chance),
            ),
        )
