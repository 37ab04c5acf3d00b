"""ADV001 saturated-discriminator: the discriminator wins every step; the generator learns nothing.

## Why is this bad?
Where real and fake are told apart without error, the generator gets gradients that say only that
it lost. Its other terms carry on alone.

## How it is detected
A discriminator's loss (by role, or a name like `d_loss`, `errD`, `loss_disc`, `critic_loss`) stays
below `WON` times its start (the highest of its first readings: it may win within a few steps) for
the last `LASTING` of the run (medians over windows of steps), and what plays against it, the
generator's adversarial term or else its loss, ends above `ROSE` times its start (the lowest of its
first readings). A minimax loss log(1 - D(G(z))) is negative and rises to nothing: it ends above
`NOTHING` times its start.

A loss that also names kinds (ACGAN) falls as these are learned: its adversarial term is read alone.

Below `CERTAIN` a discriminator has won whatever its start was, as in a log whose first line is the
mean of an epoch, where the generator's loss is above `BEATEN` or, if minimax, as near to nothing.

## Example
>>> from unstuck import Run
>>> def run(d=0.01, adv=6.0, since=60, start=0.69):
...     return Run.of(loss__d_loss=[start] * since + [d] * (100 - since),
...                   term__g_loss__adv=[0.7] * since + [adv] * (100 - since),
...                   loss__g_loss=[30.0] * 100)
>>> [finding.message for finding in saturated_discriminator(run(0.05, 1.2))]
['loss/d_loss is at 0.05, 7.2% of its start, since step 61, and term/g_loss/adv rose to 1.2']
>>> def minimax(end):
...     return Run.of(loss__d_loss=[1.4] * 60 + [0.01] * 40, loss__g_loss=[-0.7] * 60 + [end] * 40)
>>> [finding.message for finding in saturated_discriminator(minimax(-0.06))]
['loss/d_loss is at 0.01, 0.7% of its start, since step 61, and loss/g_loss rose to -0.06']

>>> def epochs(d, g):
...     return Run.of(facts={"step/unit": "epoch"}, loss__D_loss=[d] * 30, loss__G_loss=[g] * 30)
>>> [finding.message for finding in saturated_discriminator(epochs(0.008, 5.5))]
['loss/D_loss is at 0.008, 100.0% of its start, since step 0, and loss/G_loss rose to 5.5']

## Look-alikes
A balanced game, a discriminator that leads while the generator follows, one that won for a while,
a minimax loss that is still far from nothing, a critic whose loss is negative by nature, and a
discriminator that has learned the kinds:

>>> def kinds(adv):
...     values = {"loss/d_loss": (4.4, adv), "term/d_loss/adv": (0.7, adv),
...               "term/d_loss/category": (3.7, 0.0), "loss/g_loss": (1.0, 5.0)}
...     return Run.of(**{name: [a] * 20 + [b] * 80 for name, (a, b) in values.items()})
>>> [len(saturated_discriminator(run)) for run in (kinds(0.3), kinds(0.02))]
[0, 1]

>>> saturated_discriminator(run(0.095, 1.2))
[]
>>> saturated_discriminator(run(0.05, 0.8))
[]
>>> saturated_discriminator(run(0.05, 1.2, since=75))
[]
>>> saturated_discriminator(minimax(-0.09))
[]
>>> saturated_discriminator(run(d=-5.0, adv=4.0, start=-0.1))
[]
>>> saturated_discriminator(epochs(0.012, 5.5))
[]
>>> saturated_discriminator(epochs(0.008, 4.0))
[]

## What to try
`regularise-discriminator`, `lower-learning-rate`, `update-discriminator-less`

## References
- Arjovsky & Bottou, Towards Principled Methods for Training GANs, 2017,
  <https://arxiv.org/abs/1701.04862>
- Mescheder, Geiger & Nowozin, Which Training Methods for GANs do actually Converge?, 2018,
  <https://arxiv.org/abs/1801.04406>
"""

import math
import re
from collections.abc import Callable, Iterator

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Floats, Run, Series
from unstuck.signals.games import adversaries, discriminator_losses
from unstuck.signals.levels import FIRST, end_level, last_median, start_level
from unstuck.signals.names import shown
from unstuck.signals.opponents import the_game
from unstuck.signals.spans import finite, last_span_beyond, length
from unstuck.signals.windows import in_windows

WON = 0.1  # of its start; balanced games stayed above 0.9, lost ones below 1e-9 (LOG.md)
ROSE = 1.5  # times its start; in balanced games up to 1.24, where the discriminator won 12 to 26
NOTHING = 0.1  # of its start: as for WON; lost minimax games ended below 6e-4 of it (LOG.md)
LASTING = 0.3  # share of the run; a lead that was lost again was shorter (LOG.md)
CERTAIN = 0.01  # cross-entropy of being sure to 99 %; lost games end below 5e-4 (LOG.md)
BEATEN = 4.6  # -log 0.01: what the generator pays where the other side is as sure
CRITIC = re.compile(r"critic|wasserstein|wgan", re.IGNORECASE)  # near zero, it has not won


@detector(
    "ADV001",
    needs=("loss/*",),
    explains=("ADV002", "ADV004", "OPT003", "OPT004", "LOS001", "LOS002"),
)
def saturated_discriminator(run: Run) -> Iterator[Finding]:
    rivals = adversaries(run)
    for series in (the_game(run, loss) for loss in discriminator_losses(run)):
        start, calm = _first(series, np.max), in_windows(series)
        if not start > 0 or end_level(series) < 0:
            continue
        for limit, beaten in ((WON * start, _beaten), (CERTAIN, _beaten_outright)):
            won = last_span_beyond(calm, "<", limit, at_least=LASTING * length(calm))
            lost = [s for s in rivals if end_level(s) > beaten(s)]
            if not won or not lost or (limit == CERTAIN and CRITIC.search(series.name)):
                continue
            rival = max(lost, key=lambda s: end_level(s) - start_level(s))
            last = int(rival.step[-1])
            yield Finding(
                "ADV001",
                where=series.name,
                message=(
                    f"{shown(series.name, 24)} is at {end_level(series):.2g}, "
                    f"{end_level(series) / start:.1%} of its start, since step {won[0]}, "
                    f"and {shown(rival.name, 24)} rose to {end_level(rival):.2g}"
                ),
                evidence=(
                    Evidence(calm, "<", limit, won),
                    Evidence(last_median(rival), ">", beaten(rival), (last, last)),
                ),
                severity="error",
            )
            break


def _first(series: Series, extreme: Callable[[Floats], np.float64]) -> float:
    """The highest or lowest of the first finite readings; NaN where there is none."""
    value = finite(series).value[:FIRST]
    return float(extreme(value)) if value.size else math.nan


def _beaten(rival: Series) -> float:
    """The level above which a generator's loss says that it has lost, by where it began."""
    start = _first(rival, np.min)
    return ROSE * start if start > 0 else NOTHING * start


def _beaten_outright(rival: Series) -> float:
    """The level above which it has lost, whatever its start; a minimax loss is not above zero."""
    return BEATEN if end_level(rival) > 0 else -CERTAIN
