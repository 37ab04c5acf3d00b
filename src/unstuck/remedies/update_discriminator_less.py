"""update-discriminator-less: let the generator make more steps than the discriminator.

## What it changes
The discriminator is updated at every second or third step.

## What is expected
Its lead grows more slowly.

## When it does not help
Where real and fake are easily told apart by their kind (blur, range, noise): it wins all the same,
only later. A penalty answers that.

## Origin
- Goodfellow et al., Generative Adversarial Nets, algorithm 1, 2014,
  <https://arxiv.org/abs/1406.2661>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("ADV001", safety="advice")
def update_discriminator_less(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
