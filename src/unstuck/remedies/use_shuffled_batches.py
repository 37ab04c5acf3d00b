"""use-shuffled-batches: draw every batch from all of the data, in a new order each epoch.

## What it changes
`shuffle=True` in the loader; for a stream, shards read in random order and a buffer much larger
than the longest stretch of one class.

## What is expected
The loss no longer jumps where a class ends, and held-out accuracy no longer depends on the step it
is taken at.

## When it does not help
Where the order is the task (online learning, a curriculum): then rehearsal of what was learned.

## Origin
- Bengio, Practical Recommendations for Gradient-Based Training of Deep Architectures, section 3.1,
  2012, <https://arxiv.org/abs/1206.5533>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("DAT005", safety="advice")
def use_shuffled_batches(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
