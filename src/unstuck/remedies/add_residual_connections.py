"""add-residual-connections: let each block add to its input instead of replacing it.

## What it changes
`x = x + block(x)`, with a projection where the sizes differ.

## What is expected
Gradients reach the first layers undiminished, whatever the blocks do.

## When it does not help
In shallow networks, where another cause is likelier.

## Origin
- He et al., Deep Residual Learning for Image Recognition, 2016, <https://arxiv.org/abs/1512.03385>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("GRD002", "GRD001", "ATT002", safety="advice")
def add_residual_connections(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
