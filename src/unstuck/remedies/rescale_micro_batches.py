"""rescale-micro-batches: divide the loss of each micro-batch by their number.

## What it changes
`(loss / accumulation_steps).backward()`; where micro-batches differ in size, divide sums by the
number of samples or tokens in all of them.

## What is expected
`mean_weight` times `accumulated_passes` is one, and a learning rate that suits the whole batch
suits the sum of its parts.

## When it does not help
Where the rate was tuned with the sum: then it has to be raised by the same factor, and nothing has
changed.

## Origin
- Goyal et al., Accurate, Large Minibatch SGD, 2017, <https://arxiv.org/abs/1706.02677>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("OPT012", safety="advice")
def rescale_micro_batches(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
