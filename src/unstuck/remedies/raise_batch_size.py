"""raise-batch-size: let more samples make one step, at once or by accumulation.

## What it changes
The size of the batch; samples that are worked on one by one are stacked. Accumulated micro-batches
help against noise of the gradient; they do not help a batch normalisation, which sees one
micro-batch at a time, nor a machine that has too little to do at once.

## What is expected
The noise of the gradient falls by the square root of the factor: the loss settles lower. On a
machine that was not busy a step takes less time for each sample.

## When it does not help
Where labels do not follow from inputs: all of the gradient is noise then, at any size. Where memory
is full, or where larger batches cost quality: then look for the time elsewhere.

## Origin
- McCandlish et al., An Empirical Model of Large-Batch Training, 2018,
  <https://arxiv.org/abs/1812.06162>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("NRM001", "OPT008", "SYS004", safety="advice")
def raise_batch_size(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
