"""normalise-layers: put a normalisation between the layers.

## What it changes
A LayerNorm, GroupNorm or (for batches of 16 or more) BatchNorm after each block.

## What is expected
Activations and gradients keep their scale through the depth; the first layers begin to move.

## When it does not help
With very small batches for BatchNorm; where the scale carries information the output needs.

## Origin
- Ioffe & Szegedy, Batch Normalization, 2015, <https://arxiv.org/abs/1502.03167>
- Ba, Kiros & Hinton, Layer Normalization, 2016, <https://arxiv.org/abs/1607.06450>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("INI002", "GRD001", "NRM001", safety="advice")
def normalise_layers(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
