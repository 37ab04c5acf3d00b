"""raise-batch-size: let more samples make one step, at once or by accumulation.

## What it changes
The size of the batch. Accumulated micro-batches help against noise of the gradient; they do not
help a batch normalisation, which sees one micro-batch at a time.

## What is expected
The noise of the gradient falls by the square root of the factor: the loss settles lower.

## When it does not help
Where labels do not follow from inputs: all of the gradient is noise then, at any size.

## Origin
- McCandlish et al., An Empirical Model of Large-Batch Training, 2018,
  <https://arxiv.org/abs/1812.06162>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("NRM001", safety="advice")
def raise_batch_size(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
