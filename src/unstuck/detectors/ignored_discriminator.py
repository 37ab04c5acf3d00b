"""ADV003 ignored-discriminator: the adversarial term weighs too little to change anything.

## Why is this bad?
Two networks are trained and paid for, and the generator is what the other terms alone would have
made of it: averages, without the detail the discriminator asks for.

## How it is detected
In a loss that plays against a discriminator, an adversarial term (by its name: `adv`, `gan`,
`fool`) that has a weight makes less than `UNHEARD` of the gradient in every reading after the first
few steps, over `FOR_STEPS` steps. A share of its *value* is no sign, nor is a share that is small
at the start only.

## Example
>>> from unstuck import Run, Series
>>> def run(share=0.001, first=0.001, weight=0.01, every=48, name="adv", fifth=0.001, n=10):
...     values = {"loss/d_loss": [1.4] * n, "loss/g_loss": [3.0] * n,
...               f"weight/g_loss/{name}": [weight] * n,
...               f"gradient_share/g_loss/{name}": [first, first, fifth] + [share] * (n - 3),
...               "gradient_share/g_loss/l1": [0.99] * n}
...     steps = [1, 3, 5, *(every * i for i in range(1, n - 2))]
...     return Run({name: Series(name, steps, v) for name, v in values.items()})
>>> [finding.message for finding in ignored_discriminator(run())]
['term adv makes 0.10% of the gradient of g_loss, with weight 0.01: the discriminator is not heard']
>>> [len(ignored_discriminator(r)) for r in (run(0.004), run(first=0.01), run(every=28))]
[1, 1, 1]

## Look-alikes
A term that is light and heard, one that is warmed up, one that is switched off, and short runs:

>>> ignored_discriminator(run(0.006)) + ignored_discriminator(run(0.2))
[]
>>> ignored_discriminator(run(weight=0.0)) + ignored_discriminator(run(name="perceptual"))
[]
>>> ignored_discriminator(run(every=17)) + ignored_discriminator(run(fifth=0.01))
[]

## What to try
`raise-term-weight`, `lower-term-weight`

## References
- Isola et al., Image-to-Image Translation with Conditional Adversarial Networks (L1 alone, and with
  an adversary), 2017, <https://arxiv.org/abs/1611.07004>
- Chen et al., GradNorm, 2018, <https://arxiv.org/abs/1711.02257>
"""

from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run
from unstuck.signals.levels import end_level, median
from unstuck.signals.names import shown
from unstuck.signals.opponents import adversarial_shares
from unstuck.signals.spans import finite, from_step, last_span_beyond

UNHEARD = 0.005  # share; below 0.02 outputs were as without a judge, to 0.4 % of spread (LOG.md)
FIRST = 4  # steps in which even heard ones made 0.003 (LOG.md)
FOR_STEPS = 150  # updates; a warm-up of the weight is over


@detector(
    "ADV003",
    needs=("gradient_share/*/*", "weight/*/*", "loss/*"),
    explains=("LOS001", "LOS002"),
)
def ignored_discriminator(run: Run) -> Iterator[Finding]:
    for loss, term, share in adversarial_shares(run):
        weight = run.series.get(f"weight/{loss}/{term}")
        known = from_step(finite(share), FIRST)
        span = last_span_beyond(known, "<", UNHEARD, at_least=FOR_STEPS)
        if not span or span[0] != known.step[0] or weight is None or end_level(weight) == 0:
            continue
        yield Finding(
            "ADV003",
            where=f"{loss}/{term}",
            message=(
                f"term {shown(term, 16)} makes {abs(median(known)):.2%} of the gradient of "
                f"{shown(loss, 14)}, with weight {end_level(weight):.3g}: "
                "the discriminator is not heard"
            ),
            evidence=(Evidence(known, "<", UNHEARD, span),),
        )
