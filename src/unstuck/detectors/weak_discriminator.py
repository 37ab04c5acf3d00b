"""ADV005 weak-discriminator: the discriminator never does better than guessing.

## Why is this bad?
Its gradient says nothing of the data, so the generator is driven anywhere, or nowhere at all.

## How it is detected
Medians of every discriminator's loss (by role or name) over a tenth of the run each stay between
`GUESS` and `WORST` times that of guessing, from the first tenth to the last, over `FOR_STEPS` steps
or `FOR_EPOCHS` epochs; guessing costs a cross-entropy log 4 (the sum over real and fake), or log 2
(their mean). The highest of its first readings must be within `NEAR` of it, which tells a
cross-entropy from other losses; a critic has no such level. And the generator is not punished: what
plays against the discriminator, its adversarial term or else its loss, ends no higher than
`PUNISHED` times its start. In a balanced game, the discriminator leads at first: its loss dips.

## Example
>>> from unstuck import Run
>>> def run(d=1.386, g=0.693, dip=1.386, start=1.386, first=0.693, n=400):
...     part = n // 10
...     return Run.of(loss__d_loss=[start] * part + [dip] * part + [d] * (n - 2 * part),
...                   loss__g_loss=[first] * part + [g] * (n - part))
>>> [finding.message for finding in weak_discriminator(run())]
['loss/d_loss never fell below 1.39 in 400 steps: guessing costs 1.39; loss/g_loss ends at 0.693']
>>> [finding.message for finding in weak_discriminator(run(0.75, 0.57, 0.71, 0.75))]
['loss/d_loss never fell below 0.71 in 400 steps: guessing costs 0.693; loss/g_loss ends at 0.57']
>>> epochs = {"step/unit": "epoch"}
>>> len(weak_discriminator(Run({**run(n=30).series}, facts=epochs)))
1

## Look-alikes
A discriminator that led for a while, or within a few steps, a generator that is punished, losses
that are no cross-entropy or a sum where a mean was meant, and runs that are only short:

>>> weak_discriminator(run(dip=1.36)) + weak_discriminator(run(dip=0.95))
[]
>>> fast = [1.39, 1.0, 0.71, 0.43, 0.3] + [1.0] * 395
>>> weak_discriminator(Run.of(loss__d_loss=fast, loss__g_loss=[1.9] * 5 + [0.8] * 395))
[]
>>> weak_discriminator(run(g=0.9))
[]
>>> weak_discriminator(run(2.0, 0.0, 2.0, 2.0, 0.0)) + weak_discriminator(run(1.7, 0.6, 1.7, 1.56))
[]
>>> weak_discriminator(run(1.0, 0.6, 0.8, 0.75))
[]
>>> weak_discriminator(run(n=250)) + weak_discriminator(Run({**run(n=16).series}, facts=epochs))
[]

## What to try
`update-discriminator-more`, `raise-learning-rate`, `lower-weight-decay`

## References
- Goodfellow et al., Generative Adversarial Nets, 2014, <https://arxiv.org/abs/1406.2661>
"""

import math
from collections.abc import Iterator

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series
from unstuck.signals.games import adversaries, discriminator_losses
from unstuck.signals.levels import FIRST, end_level
from unstuck.signals.names import shown
from unstuck.signals.spans import finite, length
from unstuck.signals.units import first_level, lasting
from unstuck.signals.windows import FEW, in_windows

GUESS = 0.99  # times; balanced games dipped to 0.98 in some tenth of the run (LOG.md)
WORST = 1.3  # times; weak ones stayed below 1.1 of it (LOG.md)
NEAR = 0.1  # of the cost of guessing; fresh discriminators began within 0.05 (LOG.md)
FOR_STEPS = 300  # a slow but healthy game had not dipped by 1 % after 150 (LOG.md)
FOR_EPOCHS = 20  # as long as for a loss-plateau
PUNISHED = 1.1  # times its start; balanced games came to 1.24, against weak ones at most 1.0
CHANCES = (math.log(4), math.log(2))


@detector("ADV005", needs=("loss/*",), explains=("ADV002", "ADV004", "OPT004"))
def weak_discriminator(run: Run) -> Iterator[Finding]:
    losses = discriminator_losses(run)
    rivals = adversaries(run)
    guessing = [(s, *found) for s in losses if (found := _never_below(run, s))]
    if not rivals or len(guessing) < len(losses):
        return
    if any(end_level(s) > PUNISHED * max(first_level(run, s), 0.0) for s in rivals):
        return
    for series, calm, chance in guessing:
        span = int(calm.step[0]), int(calm.step[-1])
        yield Finding(
            "ADV005",
            where=series.name,
            message=(
                f"{shown(series.name, 24)} never fell below {calm.value.min():.3g} in "
                f"{length(series) + 1} steps: guessing costs {chance:.3g}; "
                f"{shown(rivals[0].name, 24)} ends at {end_level(rivals[0]):.3g}"
            ),
            evidence=(Evidence(calm, ">", GUESS * chance, span),),
        )


def _never_below(run: Run, series: Series) -> tuple[Series, float] | None:
    """Its calm course and the cost of guessing, where it never did better than guessing."""
    calm, fresh = in_windows(series, FEW), finite(series).value[:FIRST]
    first = float(fresh.max()) if fresh.size else math.nan
    chance = min(CHANCES, key=lambda c: abs(c - first))
    short = length(series) < lasting(run, steps=FOR_STEPS, epochs=FOR_EPOCHS)
    if short or not abs(first - chance) < NEAR * chance:
        return None
    weak = np.all((calm.value > GUESS * chance) & (calm.value < WORST * chance))
    return (calm, chance) if bool(weak) else None
