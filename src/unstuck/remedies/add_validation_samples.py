"""add-validation-samples: judge by more rows, always the same ones, or by an average.

## What it changes
The validation split: ten times as many rows, chosen once and not drawn anew at every evaluation.
Where there are no more, average the metric over the last evaluations or the weights over the last
steps, and use running statistics that remember more than one batch.

## What is expected
The scatter falls with the square root of the number of rows.

## When it does not help
Where the model itself swings from one evaluation to the next: its learning rate is too high.

## Origin
- Bouthillier et al., Accounting for Variance in Machine Learning Benchmarks, 2021,
  <https://arxiv.org/abs/2103.03098>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("GEN003", safety="advice")
def add_validation_samples(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
