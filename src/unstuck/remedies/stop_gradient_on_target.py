"""stop-gradient-on-target: let one side of a consistency term be a target that is not pulled.

## What it changes
`|predictor(z_a) - z_b.detach()|`, with a small predictor, in place of `|z_a - z_b|`.

## What is expected
Codes can no longer meet by shrinking together; the spread over the batch stays.

## When it does not help
Where both sides come from the same input, or no other term asks anything of the code.

## Origin
- Chen & He, Exploring Simple Siamese Representation Learning, 2021,
  <https://arxiv.org/abs/2011.10566>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("COL004", safety="advice")
def stop_gradient_on_target(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
