"""use-whole-canvas: train on larger patches, on the whole canvas, or with a coarse view of it.

## What it changes
Patches as large as what the answer depends on; where memory is short, a coarse picture of the
whole as a further input, or the whole canvas every few batches with gradient checkpointing. The
error of the full canvas is logged beside that of the patches.

## What is expected
The error on the full canvas falls together with that on the patches.

## When it does not help
Where one output sees less than the answer needs: larger patches show it no more (`raise-horizon`).

## Origin
- Luo et al., Understanding the Effective Receptive Field in Deep Convolutional Neural Networks,
  2016, <https://arxiv.org/abs/1701.04128>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("CTX002", safety="advice")
def use_whole_canvas(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
