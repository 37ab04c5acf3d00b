"""update-discriminator-less: let the generator make more steps than the discriminator.

## What it changes
`interval/<optimizer>` of the discriminator: it makes only every second, or every fourth of its
steps.

## What is expected
Its lead grows more slowly: its loss stays further from zero, and the generator's falls.

## When it does not help
Where real and fake are easily told apart by their kind (blur, range, noise): it wins all the same,
only later. A penalty answers that.

## Origin
- Goodfellow et al., Generative Adversarial Nets, algorithm 1, 2014,
  <https://arxiv.org/abs/1406.2661>

>>> from unstuck import Finding, Run
>>> run = Run.of(lr__opt_D=[1e-3] * 9, lr__opt_G=[1e-3] * 9)
>>> [t.changes for t in update_discriminator_less(run, Finding("ADV001", "loss/d_loss", "", ()))]
[{'interval/opt_D': 2}, {'interval/opt_D': 4}]
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy
from unstuck.signals.inventory import discriminators_optimizers

INTERVALS = (2, 4)  # steps: a factor of two each


@remedy("ADV001", safety="changes-training")
def update_discriminator_less(run: Run, finding: Finding) -> Iterator[Treatment]:
    chosen = discriminators_optimizers(run)
    for interval in INTERVALS if chosen else ():
        yield Treatment(
            name=f"{' and '.join(chosen)} updated at every {interval}. step",
            remedy="update-discriminator-less",
            changes={f"interval/{name}": interval for name in chosen},
            expectation="the discriminator's loss stays further from zero; the generator's falls",
            answers=(finding.code,),
        )
