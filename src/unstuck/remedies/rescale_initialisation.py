"""rescale-initialisation: start every layer with weights that keep the scale of its input.

## What it changes
Weights from `nn.init.kaiming_normal_` for ReLU, `xavier_normal_` for tanh; biases zero.

## What is expected
Activations have about the same standard deviation in every layer at step 0, and so have gradients.

## When it does not help
Where the activation itself shrinks gradients at every layer (sigmoid) or the learning rate kills
units later.

## Origin
- He et al., Delving Deep into Rectifiers, 2015, <https://arxiv.org/abs/1502.01852>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy(
    "ACT002",
    "GRD002",
    "INI002",
    "ACT001",
    "GRD001",
    "INI001",
    "DAT002",
    "SEQ001",
    "ATT001",
    "GRD003",
    safety="advice",
)
def rescale_initialisation(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
