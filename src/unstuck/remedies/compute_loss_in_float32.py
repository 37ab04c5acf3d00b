"""compute-loss-in-float32: compute the loss and what feeds its logarithms in float32.

## What it changes
The loss function runs outside autocast on `.float()` inputs; a fused form (cross-entropy on logits)
replaces log(softmax(x)) and log(sigmoid(x)), and square roots and norms get a small epsilon inside.

## What is expected
The loss stays finite at the step where it was not, with everything else unchanged.

## When it does not help
Where the weights had already run away: the gradient norm then grew before the loss did.

## Origin
- Micikevicius et al., Mixed Precision Training, 2018, <https://arxiv.org/abs/1710.03740>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("NUM001", "DST003", "NUM002", safety="advice")
def compute_loss_in_float32(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
