"""raise-weight-of-changes: let those places count in which the answer differs from the input.

## What it changes
Samples whose answer equals the input are drawn less often, or the loss is averaged over the places
that differ; where an extra term wants the input kept, it gets less weight than the answer. A model
that cannot see what tells the two apart (its receptive field is too small) gets deeper or wider
kernels first.

## What is expected
A copy costs as much as it is wrong, the gradient points away from it, and the distance between
output and input rises towards that of the answer.

## When it does not help
Where nothing in the input says what will change: then the copy is the best guess, and the data
must tell more (another frame, a condition).

## Origin
- Mathieu, Couprie & LeCun, Deep Multi-Scale Video Prediction beyond Mean Square Error, 2016 (only
  patches that move are trained on), <https://arxiv.org/abs/1511.05440>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("SKP002", safety="advice")
def raise_weight_of_changes(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
