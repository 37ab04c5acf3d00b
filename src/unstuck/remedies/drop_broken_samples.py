"""drop-broken-samples: look at the batch a finding points at, and mend its samples or drop them.

## What it changes
`finite/<optimizer>`, where a loss is NaN or infinite: steps whose gradient holds such a number are
left out. Else the data: the finding gives the place in the epoch; print the smallest and largest
value, the type and the answers of that batch beside those of another one, and look at the files it
was read from.

## What is expected
The loss stays finite, or the jumps at that place are gone; everything else stays as it is.

## When it does not help
Where the batch is only hard, its loss falls as the training goes on: leave it in. Where every batch
gives NaN from some step on, no step is left: the weights had run away before.

## Origin
- Northcutt, Athalye & Mueller, Pervasive Label Errors in Test Sets Destabilize Machine Learning
  Benchmarks, 2021, <https://arxiv.org/abs/2103.14749>

>>> from unstuck import Finding, Run
>>> run = Run.of(lr__sgd=[0.3] * 9)
>>> [t.changes for t in drop_broken_samples(run, Finding("NUM001", "loss/train", "", ()))]
[{'finite/sgd': 'only'}]
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy
from unstuck.signals.inventory import optimizers_of

NOT_FINITE = ("NUM001", "DST003")


@remedy("DAT009", "DST003", "CTX004", "NUM001", safety="safe")
def drop_broken_samples(run: Run, finding: Finding) -> Iterator[Treatment]:
    chosen = optimizers_of(run, finding.where) if finding.code in NOT_FINITE else []
    if chosen:
        yield Treatment(
            name=f"{' and '.join(chosen)} without steps that are not finite",
            remedy="drop-broken-samples",
            changes={f"finite/{name}": "only" for name in chosen},
            expectation="the loss stays finite and ends lower",
            answers=(finding.code,),
        )
