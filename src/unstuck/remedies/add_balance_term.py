"""add-balance-term: ask every bit of a code to be set as often as not, and bits to differ.

## What it changes
`mean(b, dim=0)^2` and the squared correlations between bits join the loss, over the batch.

## What is expected
Constant bits come alive, and different samples get different codes.

## When it does not help
Where the targets ask for codes that are alike (`miscalibrated-targets`), or the batch holds one
class only.

## Origin
- Weiss, Torralba & Fergus, Spectral Hashing, 2008,
  <https://papers.nips.cc/paper/3383-spectral-hashing>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("COL001", "COL002", safety="advice")
def add_balance_term(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
