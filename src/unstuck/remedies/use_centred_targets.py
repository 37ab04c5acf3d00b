"""use-centred-targets: make similarity targets that lie around zero.

## What it changes
Features are centred before their cosines are taken, or the targets' own mean is subtracted, so that
unlike pairs get about zero or less and like ones more.

## What is expected
Codes spread; their similarities follow the targets.

## When it does not help
Where the features tell nothing of what is to be found: then targets around zero are noise.

## Origin
- Su, Zhong & Zhang, Deep Joint-Semantics Reconstructing Hashing, 2019,
  <https://doi.org/10.1109/ICCV.2019.00312>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("COL006", safety="advice")
def use_centred_targets(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
