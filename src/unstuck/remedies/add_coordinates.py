"""add-coordinates: hand the network the place of each cell as further inputs.

## What it changes
Row and column, from -1 to 1, as two more channels of the input (or a learnt map of the canvas's
size that is added to it). For crops they are those of the full canvas, not of the crop.

## What is expected
`position/<model>/change` rises from zero, `needed` falls towards zero, and the loss falls below
what it was stuck at.

## When it does not help
Where the place is shown by the picture and only not seen: a wider field is the answer then. Where
the canvas at use has another size, coordinates learnt by heart mislead.

## Origin
- Liu et al., An Intriguing Failing of Convolutional Neural Networks and the CoordConv Solution,
  2018, <https://arxiv.org/abs/1807.03247>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("CTX003", safety="advice")
def add_coordinates(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
