"""use-both-modes: evaluate in evaluation mode, train in training mode, and switch at every turn.

## What it changes
`mode/<model>`: training mode while gradients are recorded, evaluation mode while they are not. Two
lines of the script: dropout and batch statistics act while training, and only then. Of a batch
normalisation with a momentum of 0 it is the momentum: 0.1 is usual.

## What is expected
Validation is steady and at its true level; training keeps its noise and its normalisation.

## When it does not help
Where the mode was chosen on purpose: statistics kept in fine-tuning, averages over dropout.

## Origin
- Ioffe & Szegedy, Batch Normalization, 2015, <https://arxiv.org/abs/1502.03167>
- Srivastava et al., Dropout, 2014, section 4, <https://jmlr.org/papers/v15/srivastava14a.html>

>>> from unstuck import Finding, Run
>>> run = Run.of(facts={"parameters/net": 9})
>>> [t.changes for t in use_both_modes(run, Finding("NRM002", "validation", "", ()))]
[{'mode/net': 'by-gradient'}]
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy
from unstuck.signals.inventory import parts


@remedy("NRM002", safety="safe")
def use_both_modes(run: Run, finding: Finding) -> Iterator[Treatment]:
    chosen = list(dict.fromkeys(name.split(".")[0] for name in parts(run, finding.where)))
    if chosen:
        yield Treatment(
            name=f"{' and '.join(chosen)} in training mode for training only",
            remedy="use-both-modes",
            changes={f"mode/{name}": "by-gradient" for name in chosen},
            expectation="validation is steady and its metric better",
            answers=(finding.code,),
        )
