"""augment-data: show each sample in changed forms that keep its label.

## What it changes
Random crops, flips, colour changes or mixing of samples in the training pipeline only.

## What is expected
The training loss falls more slowly and the best validation metric comes later and is better.

## When it does not help
Where a change alters the label; where the training loss has not fallen far in the first place.

## Origin
- Zhang et al., mixup, 2018, <https://arxiv.org/abs/1710.09412>
- Shorten & Khoshgoftaar, A Survey on Image Data Augmentation, 2019,
  <https://doi.org/10.1186/s40537-019-0197-0>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("CAP001", "GEN001", safety="advice")
def augment_data(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
