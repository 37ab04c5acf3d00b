"""use-leaky-activation: replace ReLU by an activation with a gradient on both sides.

## What it changes
`nn.ReLU` becomes `nn.LeakyReLU(0.1)`, `nn.GELU` or `nn.SiLU` in the layers that die.

## What is expected
Silent units keep a gradient and come back; the share of dead units falls towards zero.

## When it does not help
Where steps are so large that units are thrown about: lower the learning rate first.

## Origin
- Maas, Hannun & Ng, Rectifier Nonlinearities Improve Neural Network Acoustic Models, 2013
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("ACT001", safety="advice")
def use_leaky_activation(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
