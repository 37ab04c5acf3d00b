"""use-restarts: save often enough, and let the launcher start the ranks again from there.

## What it changes
Look first at what ended the lost process (`dmesg`, the scheduler's log: most often memory, then a
device). Save the weights, the optimizer's state and the place in the data every so often, load them
at the start, and launch with `torchrun --max-restarts`.

## What is expected
A lost rank costs the time since the last save.

## When it does not help
Where it is lost again at the same step: then the cause is in the program, or a batch that needs
more memory than there is.

## Origin
- PyTorch, torchrun, <https://docs.pytorch.org/docs/stable/elastic/run.html>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("DST004", safety="advice")
def use_restarts(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
