"""compute-loss-in-float32: compute the loss and what feeds its logarithms in float32.

## What it changes
`precision/loss`, in a run with a loss scale (mixed precision): losses of torch.nn.functional take
their predictions as float32. In the script: the loss function runs outside autocast on `.float()`
inputs; a fused form (cross-entropy on logits) replaces log(softmax(x)) and log(sigmoid(x)), and
square roots and norms get a small epsilon inside.

## What is expected
The loss stays finite at the step where it was not, with everything else unchanged.

## When it does not help
Where the weights had already run away: the gradient norm then grew before the loss did.

## Origin
- Micikevicius et al., Mixed Precision Training, 2018, <https://arxiv.org/abs/1710.03740>

>>> from unstuck import Finding, Run
>>> run = Run.of(loss_scale__scaler=[65536.0, 1.0])
>>> [t.changes for t in compute_loss_in_float32(run, Finding("NUM002", "scaler", "", ()))]
[{'precision/loss': 'float32'}]
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("NUM001", "DST003", "NUM002", safety="safe")
def compute_loss_in_float32(run: Run, finding: Finding) -> Iterator[Treatment]:
    if run.matching("loss_scale/*"):
        yield Treatment(
            name="losses in float32",
            remedy="compute-loss-in-float32",
            changes={"precision/loss": "float32"},
            expectation="the loss stays finite and its scale is not halved again and again",
            answers=(finding.code,),
        )
