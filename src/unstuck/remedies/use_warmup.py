"""use-warmup: let the learning rate rise from nothing over the first steps.

## What it changes
`warmup/<optimizer>`: a linear rise over the first tenth of the run, or its first third, and never
over more than `MOST` steps; the rate it rises to, and the schedule after it, stay as they are.

## What is expected
The loss falls from the first step on; the same rate that threw the weights away is then borne.

## When it does not help
Where the rate is too high for later steps as well: the loss jumps when the rise is over. Models
that normalise before each branch hardly need it.

## Origin
- Xiong et al., On Layer Normalization in the Transformer Architecture, 2020,
  <https://arxiv.org/abs/2002.04745>
- Liu et al., On the Variance of the Adaptive Learning Rate and Beyond, 2020,
  <https://arxiv.org/abs/1908.03265>
- `MOST`: Ma & Yarats, On the Adequacy of Untuned Warmup for Adaptive Optimization, 2021 (2 / (1 -
  beta_2) steps, 2,000 for Adam), <https://arxiv.org/abs/1910.04209>

>>> from unstuck import Finding, Run
>>> run = Run.of(lr__adam=[1e-3] * 600)
>>> [t.changes for t in use_warmup(run, Finding("OPT007", "adam", "", ()))]
[{'warmup/adam': 60}, {'warmup/adam': 200}]
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy
from unstuck.signals.inventory import optimizers_of

PARTS = (10, 3)  # of the run: a tenth is usual for short runs of transformers, a third is much
MOST = 2_000  # steps
LEAST = 2  # a rise over one step is none


@remedy("OPT007", "OPT001", "ATT001", safety="changes-training")
def use_warmup(run: Run, finding: Finding) -> Iterator[Treatment]:
    if finding.code == "OPT001" and not run.matching("attention/*"):
        return  # without attention a rate that is too high at the start is so later on
    chosen = optimizers_of(run, finding.where)
    lengths = [min(MOST, (run.last_step + 1) // part) for part in PARTS]
    for steps in dict.fromkeys(n for n in lengths if n >= LEAST and chosen):
        yield Treatment(
            name=f"learning rate of {' and '.join(chosen)} rises over {steps} steps",
            remedy="use-warmup",
            changes={f"warmup/{name}": steps for name in chosen},
            expectation="the loss falls from the first steps on and ends lower",
            answers=(finding.code,),
        )
