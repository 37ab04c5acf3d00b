"""use-labels-of-the-same-sample: put each label beside its own sample again.

## What it changes
The data set: print ten samples beside their labels, then follow one of them back to where both come
from. Join by a key both carry, not by position; shuffle and filter samples and labels together;
look for an index that starts at one, and for a sort of one of the two.

## What is expected
The probe `labels` tells labels from inputs better than shuffled ones, and the loss leaves the level
of guessing within the first epoch.

## When it does not help
Where labels are right and the inputs say nothing about them: then other inputs are needed, not
other labels.

## Origin
- Northcutt, Athalye & Mueller, Pervasive Label Errors in Test Sets Destabilize Machine Learning
  Benchmarks, 2021, <https://arxiv.org/abs/2103.14749>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("DAT004", safety="advice")
def use_labels_of_the_same_sample(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
