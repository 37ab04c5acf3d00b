"""ADV002 starved-generator: the adversarial share of the generator's gradient falls to nothing.

## Why is this bad?
From then on the regression terms alone carry the generator. What it had learned of the
discriminator fades, and outputs turn into averages, while both losses look as before.

## How it is detected
In a loss that plays against a discriminator, the adversarial term's share of the gradient was above
`FED` at its best (in medians over tenths of the run), and stays below `NOTHING` for the last
`LASTING` of the run. A term whose weight ends at zero was switched off on purpose. One that was
never felt is an `ignored-discriminator`.

## Example
>>> from unstuck import Run
>>> def run(best=0.1, end=0.001, since=60, weight=1.0):
...     return Run.of(**{"loss/d_loss": [1.4] * 100, "loss/g_loss": [3.0] * 100,
...         "weight/g_loss/adv": [1.0] * 50 + [weight] * 50,
...         "gradient_share/g_loss/adv": [best] * since + [end] * (100 - since),
...         "gradient_share/g_loss/l1": [1 - best] * since + [1 - end] * (100 - since)})
>>> [finding.message for finding in starved_generator(run())]
['term adv makes 0.10% of the gradient of g_loss since step 69, after 10.0%: its weight is now 1']
>>> [len(starved_generator(r)) for r in (run(best=0.025), run(end=0.004))]
[1, 1]

## Look-alikes
A share that falls and is felt, one that was never there, one that vanished only now, and one that
was switched off:

>>> starved_generator(run(end=0.006)) + starved_generator(run(best=0.015))
[]
>>> starved_generator(run(since=70)) + starved_generator(run(weight=0.0))
[]

## What to try
`raise-term-weight`, `lower-term-weight`

## References
- Arjovsky & Bottou, Towards Principled Methods for Training GANs (gradients that vanish), 2017,
  <https://arxiv.org/abs/1701.04862>
- Kendall, Gal & Cipolla, Multi-Task Learning Using Uncertainty (weights that change), 2018,
  <https://arxiv.org/abs/1705.07115>
"""

from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run
from unstuck.signals.levels import end_level
from unstuck.signals.names import shown
from unstuck.signals.opponents import adversarial_shares
from unstuck.signals.spans import last_span_beyond, length
from unstuck.signals.windows import FEW, in_windows

FED = 0.02  # share; from here on outputs differed from those without a judge (LOG.md)
NOTHING = 0.005  # share: as for ADV003
LASTING = 0.25  # share of the run; schedules that starved it had done so for 0.35 (LOG.md)


@detector(
    "ADV002",
    needs=("gradient_share/*/*", "weight/*/*", "loss/*"),
    explains=("LOS001", "LOS002"),
)
def starved_generator(run: Run) -> Iterator[Finding]:
    for loss, term, share in adversarial_shares(run):
        weight = run.series.get(f"weight/{loss}/{term}")
        calm = in_windows(share, FEW)
        best = float(calm.value.max()) if len(calm) else 0.0
        span = last_span_beyond(calm, "<", NOTHING, at_least=LASTING * length(share))
        if not span or not best > FED or weight is None or end_level(weight) == 0:
            continue
        yield Finding(
            "ADV002",
            where=f"{loss}/{term}",
            message=(
                f"term {shown(term, 16)} makes {abs(end_level(share)):.2%} of the gradient of "
                f"{shown(loss, 14)} since step {span[0]}, after {best:.1%}: "
                f"its weight is now {end_level(weight):.2g}"
            ),
            evidence=(Evidence(calm, "<", NOTHING, span),),
        )
