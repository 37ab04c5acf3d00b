"""regularise-discriminator: penalise the discriminator for being sharp.

## What it changes
A gradient penalty (R1 on real images, R2 on fakes) joins its loss, or spectral normalisation its
layers.

## What is expected
Its loss stays away from zero and the generator gets gradients that say where to go.

## When it does not help
Where the generator is broken for another reason (never updated, wrong range of outputs).

## Origin
- Mescheder, Geiger & Nowozin, Which Training Methods for GANs do actually Converge?, 2018,
  <https://arxiv.org/abs/1801.04406>
- Miyato et al., Spectral Normalization, 2018, <https://arxiv.org/abs/1802.05957>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("ADV001", "ADV004", safety="advice")
def regularise_discriminator(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
