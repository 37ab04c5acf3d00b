"""regularise-discriminator: penalise the discriminator for being sharp.

## What it changes
`r1/<discriminator>`: `gamma / 2` times the squared norm of its gradient on real samples joins its
loss, with a gamma of 10, 1 or 0.1. In the script also: the same on fakes (R2), or spectral
normalisation of its layers.

## What is expected
Its loss stays away from zero and the generator gets gradients that say where to go; made samples
differ from each other.

## When it does not help
Where the generator is broken for another reason (never updated, wrong range of outputs).

## Origin
- Mescheder, Geiger & Nowozin, Which Training Methods for GANs do actually Converge?, 2018,
  <https://arxiv.org/abs/1801.04406>
- Miyato et al., Spectral Normalization, 2018, <https://arxiv.org/abs/1802.05957>
- The values: 10 was used for pictures of 256 x 256 (the same, section 5); smaller pictures and
  batches ask for less (Karras et al., 2020, appendix B, <https://arxiv.org/abs/1912.04958>).

>>> from unstuck import Finding, Run
>>> run = Run.of(facts={"parameters/netD": 9, "parameters/netG": 9})
>>> [t.changes for t in regularise_discriminator(run, Finding("ADV001", "loss/errD", "", ()))]
[{'r1/netD': 10.0}, {'r1/netD': 1.0}, {'r1/netD': 0.1}]
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy
from unstuck.signals.inventory import discriminators

GAMMAS = (10.0, 1.0, 0.1)


@remedy("ADV001", "ADV004", safety="changes-training")
def regularise_discriminator(run: Run, finding: Finding) -> Iterator[Treatment]:
    chosen = discriminators(run)
    for gamma in GAMMAS if chosen else ():
        yield Treatment(
            name=f"R1 penalty of {' and '.join(chosen)} {gamma:g}",
            remedy="regularise-discriminator",
            changes={f"r1/{name}": gamma for name in chosen},
            expectation="the discriminator's loss stays away from zero; samples differ more",
            answers=(finding.code,),
        )
