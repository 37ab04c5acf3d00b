"""use-warmup: let the learning rate rise from nothing over the first steps.

## What it changes
A linear rise over the first few hundred to few thousand steps (a twentieth of the run where it is
short) before the schedule proper; the rate it rises to stays as it is.

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
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("OPT007", safety="advice")
def use_warmup(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
