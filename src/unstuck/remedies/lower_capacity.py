"""lower-capacity: take a smaller model, or hold the large one down.

## What it changes
The width or depth to a half, or a pretrained model with only its last layers trained, or dropout
and weight decay times ten; one of them at a time.

## What is expected
The training loss ends higher, that on held-out samples lower.

## When it does not help
Where stopping at the best step does as well, or where more data is to be had: large models with
enough data do better than small ones.

## Origin
- Goodfellow, Bengio & Courville, Deep Learning, 2016, section 5.2,
  <https://www.deeplearningbook.org>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("CAP001", safety="advice")
def lower_capacity(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
