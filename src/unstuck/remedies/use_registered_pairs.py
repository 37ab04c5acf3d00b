"""use-registered-pairs: shift one picture of each pair until both show the same at the same place.

## What it changes
The data, or better what made the offset: a padding, a crop, a resizing with other corners, another
origin of a font's glyph or of a scan. Shift by whole pixels where the offset is one (nothing is
interpolated), mend the resizing where it is a fraction, and crop what has no partner.

## What is expected
The probe `registration` finds less than a tenth of a pixel; edges of the outputs get sharper, and
outputs lie on their inputs.

## When it does not help
Where the pairs are meant to differ in place: the next frame, the other eye, a flow field. And where
each pair lies elsewhere one shift for all mends nothing; register them one by one, or use a loss
that allows for it.

## Origin
- Kong et al., Breaking the Dilemma of Medical Image-to-image Translation, 2021,
  <https://arxiv.org/abs/2110.06465>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("DAT003", safety="advice")
def use_registered_pairs(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
