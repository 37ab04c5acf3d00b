"""add-variance-term: ask each dimension of the latent to vary over the batch.

## What it changes
A hinge `mean(relu(1 - std(z, dim=0)))`, taken over the batch at fixed position, joins the loss.

## What is expected
The spread over the batch stays near the hinge and the codes stay distinct.

## When it does not help
Where the spread is taken over positions too: padding alone satisfies it. With batches of fewer than
four samples the estimate is poor.

## Origin
- Bardes, Ponce & LeCun, VICReg, 2022, <https://arxiv.org/abs/2105.04906>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("COL004", "COL001", safety="advice")
def add_variance_term(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
