"""lower-weight-decay: take less away from the weights in each step.

## What it changes
The optimizer's `weight_decay`, by a factor of ten or more: 1e-4 is usual for SGD, 0.01 to 0.1 for
AdamW. What is right for AdamW is not for Adam, where decay is a part of the gradient.

## What is expected
The norms of the weights settle, and the loss falls.

## When it does not help
Where the gradient is nothing from the start: then norms shrink because there is nothing against it.

## Origin
- Loshchilov & Hutter, Decoupled Weight Decay Regularization, 2019,
  <https://arxiv.org/abs/1711.05101>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("OPT014", safety="advice")
def lower_weight_decay(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
