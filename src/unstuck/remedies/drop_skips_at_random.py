"""drop-skips-at-random: zero the skips of whole samples now and then while training.

## What it changes
Each skip is multiplied by 0 for a random fifth to half of the samples in training.

## What is expected
The bottleneck has to carry the content; the error without skips comes near the error with them.

## When it does not help
Where fine detail can only come through skips and they are there at use anyway.

## Origin
- Srivastava et al., Dropout, 2014, <https://jmlr.org/papers/v15/srivastava14a.html>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("SKP001", "SKP004", safety="advice")
def drop_skips_at_random(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
