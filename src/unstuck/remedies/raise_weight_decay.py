"""raise-weight-decay: shrink the weights a little more at each step.

## What it changes
The decoupled weight decay (AdamW, SGD) times 3 to 10; biases and normalisations are left out.

## What is expected
The gap between training and validation narrows.

## When it does not help
Where the model is small for its data; under Adam with L2 in the loss it hardly acts.

## Origin
- Loshchilov & Hutter, Decoupled Weight Decay Regularization, 2019,
  <https://arxiv.org/abs/1711.05101>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("GEN001", safety="advice")
def raise_weight_decay(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
