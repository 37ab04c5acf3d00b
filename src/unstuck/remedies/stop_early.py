"""stop-early: keep the weights of the best validation step.

## What it changes
A checkpoint is written whenever the validation metric improves, and training ends when it has not
for a while.

## What is expected
The weights of the best step are the ones used; the time after it is saved.

## When it does not help
Where a longer schedule would make the metric better again; where the validation set is so small
that the best step is luck.

## Origin
- Prechelt, Early Stopping - But When?, 1998, <https://doi.org/10.1007/3-540-49430-8_3>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("GEN001", safety="advice")
def stop_early(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
