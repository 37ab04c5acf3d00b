"""normalise-input: bring inputs to about zero mean and unit standard deviation.

## What it changes
The data pipeline subtracts the mean and divides by the standard deviation of the training set, by
channel or feature; images at least `/ 255`. The same numbers are used for validation and at use.

## What is expected
The first loss drops to the usual size, the first layers put out values of about one, and the usual
learning rates work.

## When it does not help
Where the scale carries meaning between samples and is normalised by sample; where the first layer
is itself a normalisation.

## Origin
- LeCun et al., Efficient BackProp, section 4.3, 1998, <https://doi.org/10.1007/3-540-49430-8_2>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("ACT002", "DAT001", "OPT001", "OPT003", "DAT002", safety="advice")
def normalise_input(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
