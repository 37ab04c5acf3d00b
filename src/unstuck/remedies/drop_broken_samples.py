"""drop-broken-samples: look at the batch a finding points at, and mend its samples or drop them.

## What it changes
The data. The finding gives the place in the epoch: print the smallest and largest value, the type
and the answers of that batch beside those of another one, and look at the files it was read from.

## What is expected
The jumps at that place are gone; everything else stays as it is.

## When it does not help
Where the batch is only hard, its loss falls as the training goes on: leave it in.

## Origin
- Northcutt, Athalye & Mueller, Pervasive Label Errors in Test Sets Destabilize Machine Learning
  Benchmarks, 2021, <https://arxiv.org/abs/2103.14749>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("DAT009", "DST003", "CTX004", safety="advice")
def drop_broken_samples(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
