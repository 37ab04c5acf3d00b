"""use-equal-shapes: give prediction and target the same shape before the loss.

## What it changes
`prediction.squeeze(1)` or `target.unsqueeze(1)`, and an `assert prediction.shape == target.shape`
beside it.

## What is expected
The loss falls below the spread of the targets for the first time.

## When it does not help
Where every prediction is meant to meet every target (costs of a matching, ranks).

## Origin
- Harris et al., Array programming with NumPy (the rule of broadcasting), 2020,
  <https://doi.org/10.1038/s41586-020-2649-2>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("DAT008", safety="advice")
def use_equal_shapes(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
