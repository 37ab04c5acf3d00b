"""use-held-out-data: validate on rows that training never sees, and on the model's own answers.

## What it changes
The validation split: rows set aside before anything is fitted, by patient, scene or day where rows
of one belong together. And the call of the metric: predictions first, answers second, both printed
once for one batch.

## What is expected
Validation gets worse than it was, and from then on it tells runs apart.

## When it does not help
Where training is handicapped on purpose (dropout, augmentation, mixed labels), validation may be
the better of the two without any leak.

## Origin
- Kapoor & Narayanan, Leakage and the Reproducibility Crisis in Machine-Learning-Based Science,
  2023, <https://arxiv.org/abs/2207.07048>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("GEN004", safety="advice")
def use_held_out_data(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
