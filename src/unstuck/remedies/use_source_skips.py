"""use-source-skips: take the skips from what is known at use, in training too.

## What it changes
Features of the input go into the decoder; never features of the target, and no zeros in place of
skips the decoder was trained with.

## What is expected
The training loss rises, since the answer no longer leaks in; the error at use falls.

## When it does not help
Where input and target are not aligned, so that the input's detail is in the wrong place.

## Origin
- Ronneberger, Fischer & Brox, U-Net, 2015, <https://arxiv.org/abs/1505.04597>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("SKP001", safety="advice")
def use_source_skips(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
