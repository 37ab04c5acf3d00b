"""drop-readouts: keep numbers in tensors while training, and read them out now and then.

## What it changes
Add losses and hits up in a tensor (`total += loss.detach()`) and call `item` once an epoch or every
hundred steps; do with one operation on the whole batch what a loop over its samples does; print
less.

## What is expected
The step becomes shorter by the time of the readings; on a GPU the next step is prepared while the
last one is computed.

## When it does not help
Where a decision of each step rests on the number, as in a line search.

## Origin
- PyTorch, Performance Tuning Guide,
  <https://docs.pytorch.org/tutorials/recipes/recipes/tuning_guide.html>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("SYS002", safety="advice")
def drop_readouts(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
