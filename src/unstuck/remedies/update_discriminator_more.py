"""update-discriminator-more: let the discriminator learn what the generator is judged by.

## What it changes
`interval/<optimizer>` of what plays against the discriminator: it makes only every second, or every
fifth of its steps, so that the discriminator makes two or five for each. In the script also: a
wider discriminator; less noise, dropout or decay on it. First check that its optimizer holds its
parameters, and that real and fake are not swapped or detached.

## What is expected
Its loss falls below that of guessing within some hundred steps, and the generator's rises for it.

## When it does not help
Where both losses swing around that of guessing after the discriminator had led: that is balance.

## Origin
- Goodfellow et al., Generative Adversarial Nets, 2014 (k steps of the discriminator for one),
  <https://arxiv.org/abs/1406.2661>
- Heusel et al., GANs Trained by a Two Time-Scale Update Rule, 2017,
  <https://arxiv.org/abs/1706.08500>
- Arjovsky, Chintala & Bottou, Wasserstein GAN, 2017 (five steps for one),
  <https://arxiv.org/abs/1701.07875>

>>> from unstuck import Finding, Run
>>> run = Run.of(lr__opt_D=[1e-3] * 9, lr__opt_G=[1e-3] * 9)
>>> [t.changes for t in update_discriminator_more(run, Finding("ADV005", "loss/d_loss", "", ()))]
[{'interval/opt_G': 2}, {'interval/opt_G': 5}]
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy
from unstuck.signals.inventory import generators_optimizers

INTERVALS = (2, 5)  # steps


@remedy("ADV005", "ADV004", safety="changes-training")
def update_discriminator_more(run: Run, finding: Finding) -> Iterator[Treatment]:
    chosen = generators_optimizers(run)
    for interval in INTERVALS if chosen else ():
        yield Treatment(
            name=f"{' and '.join(chosen)} updated at every {interval}. step",
            remedy="update-discriminator-more",
            changes={f"interval/{name}": interval for name in chosen},
            expectation="the discriminator's loss falls below guessing; samples differ more",
            answers=(finding.code,),
        )
