"""raise-capacity: give the model what the task needs: more units, less decay, all of the input.

## What it changes
The width or depth times two, or weight decay and dropout to a tenth, or the input back to its full
size and channels; one of them at a time.

## What is expected
The training loss falls below its old level, and validation follows it for a while.

## When it does not help
Where a wider model cannot fit a single batch either, the labels do not belong to the inputs, or
they are mostly wrong; then look at the data.

## Origin
- Goodfellow, Bengio, Courville, Deep Learning, 2016, section 11.3,
  <https://www.deeplearningbook.org>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("CAP002", "GEN002", safety="advice")
def raise_capacity(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
