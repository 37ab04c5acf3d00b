"""give-ranks-equal-work: find out what one rank does that the others do not, and share it out.

## What it changes
What that rank reads (a slow disk, larger or longer samples: sort or bucket them over all ranks),
what it does besides (logging, pictures, metrics at every step), or where it runs (a busy or
throttled machine: exclude it).

## What is expected
`seconds/own` is alike on all ranks, and the step is as much shorter as the others have waited.

## When it does not help
Where the work cannot be divided, such as stages of a pipeline; then the slow stage is to be made
smaller.

## Origin
- Jiang et al., MegaScale, 2024, section 5, <https://arxiv.org/abs/2402.15627>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("DST002", safety="advice")
def give_ranks_equal_work(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
