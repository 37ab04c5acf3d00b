"""drop-kept-graphs: let go of what past steps have built.

## What it changes
Keep `loss.item()` or `loss.detach()`, not `loss`, in running sums, lists and logs; detach hidden
states that are carried from one chunk to the next; bound caches, replay buffers and lists of
outputs; take hooks off again that are put on at every step.

## What is expected
The memory in use comes to rest within some steps.

## When it does not help
Where the memory is meant to fill, such as a data set that is kept once it was read: then it rests
when all of it is there.

## Origin
- PyTorch, Frequently Asked Questions, "Don't accumulate history across your training loop",
  <https://docs.pytorch.org/docs/stable/notes/faq.html>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("SYS003", safety="advice")
def drop_kept_graphs(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
