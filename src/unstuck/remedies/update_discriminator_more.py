"""update-discriminator-more: let the discriminator learn what the generator is judged by.

## What it changes
Several steps of the discriminator for one of the generator, or a learning rate as high as the
generator's; a wider discriminator; less noise, dropout or decay on it. First check that its
optimizer holds its parameters, and that real and fake are not swapped or detached.

## What is expected
Its loss falls below that of guessing within some hundred steps, and the generator's rises for it.

## When it does not help
Where both losses swing around that of guessing after the discriminator had led: that is balance.

## Origin
- Goodfellow et al., Generative Adversarial Nets, 2014 (k steps of the discriminator for one),
  <https://arxiv.org/abs/1406.2661>
- Heusel et al., GANs Trained by a Two Time-Scale Update Rule, 2017,
  <https://arxiv.org/abs/1706.08500>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("ADV005", "ADV004", safety="advice")
def update_discriminator_more(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
