"""use-unbounded-output: end the network in a linear layer, or scale the targets into its range.

## What it changes
The last activation goes, or the targets are mapped into what it can give (0..1 for a sigmoid,
-1..1 for a tanh) and predictions mapped back.

## What is expected
The loss falls below the level it had stopped at, and units at the limit learn again.

## When it does not help
Where targets are out of reach by noise alone, and their mean is within the range.

## Origin
- Bishop, Pattern Recognition and Machine Learning, section 5.2, 2006
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("ACT003", safety="advice")
def use_unbounded_output(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
