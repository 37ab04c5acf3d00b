"""LOS004 asymmetric-term: one term weighs differently in the losses of two opponents.

## Why is this bad?
A judge that also names kinds teaches the generator kinds. Where the term weighs much less for the
judge, what it teaches is poorly learned; where it weighs much less for the generator, what is
taught is not followed. It is easily done: one factor is changed in one of two places.

## How it is detected
A discriminator's loss and one that plays against it have a term of the same name (`real_`, `fake_`,
`d_`, `g_` before it left out), and its weight over that of the loss's own adversarial terms differs
between the two more than `APART` times, at the end. From `SLIGHTLY` on it is an *info*.

## Example
>>> from unstuck import Run
>>> def run(judge=0.1, painter=1.0, whole=1.0, term="category", ours="category"):
...     values = {"loss/d_loss": 1.4, "loss/g_loss": 3.0,
...               "weight/d_loss/d_real": whole, f"weight/d_loss/{ours}": whole * judge,
...               "weight/g_loss/adv": 1.0, f"weight/g_loss/{term}": painter}
...     return Run.of(**{name: [value] * 20 for name, value in values.items()})
>>> [finding.message for finding in asymmetric_term(run())]
['term category weighs 0.1 in d_loss and 1 in g_loss, each beside an adversarial term of 1']
>>> [f.severity for r in (run(0.28), run(0.4), run(1.0, 0.55)) for f in asymmetric_term(r)]
['warning', 'info', 'info']
>>> len(asymmetric_term(run(term="fake_category_loss", ours="real_category_loss")))
1

## Look-alikes
Weights that are nearly alike, or alike in a loss that is halved as a whole, and a term the other
side does not have:

>>> asymmetric_term(run(0.7)) + asymmetric_term(run(1.0, 1.4))
[]
>>> asymmetric_term(run(1.0, whole=0.5))
[]
>>> asymmetric_term(run(term="l1"))
[]

## What to try
`raise-term-weight`

## References
- Odena, Olah & Shlens, Conditional Image Synthesis with Auxiliary Classifier GANs (both sides
  maximise the same class term), 2017, <https://arxiv.org/abs/1610.09585>
"""

import re
from collections.abc import Iterator, Mapping

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series
from unstuck.signals.games import discriminator_losses, generator_losses
from unstuck.signals.levels import end_level
from unstuck.signals.names import shown
from unstuck.signals.opponents import is_adversarial

APART = 3.0  # times; at 10 kinds were hardly learned, at 2 nearly as well as at 1 (LOG.md)
SLIGHTLY = 1.6  # times; of a category loss halved in one of two places: 2
SIDE = re.compile(r"^(real|fake|gen|disc|d|g)_|_?(loss|real|fake|d|g)$", re.IGNORECASE)


@detector("LOS004", needs=("weight/*/*", "loss/*"), explains=())
def asymmetric_term(run: Run) -> Iterator[Finding]:
    for judge in discriminator_losses(run):
        for painter in generator_losses(run):
            sides = [_weights(run, s.name.split("/", 1)[1]) for s in (judge, painter)]
            shared = sides[0].keys() & sides[1].keys()
            own = [_own(weights, shared) for weights in sides]
            for term in sorted(shared):
                if 0 in own or not all(end_level(side[term]) for side in sides):
                    continue
                finding = _compared(term, (judge.name, painter.name), sides, own)
                if finding is not None:
                    yield finding


def _compared(
    term: str, losses: tuple[str, str], sides: list[dict[str, Series]], own: list[float]
) -> Finding | None:
    first, second = (abs(end_level(side[term])) / o for side, o in zip(sides, own, strict=True))
    times = max(first, second) / min(first, second)
    if not times > SLIGHTLY:
        return None
    names = [shown(name.split("/", 1)[1], 14) for name in losses]
    steps = sides[0][term].step[-1:]
    ratio = Series(f"weight of {term} in two losses, times", steps, np.array([times]))
    return Finding(
        "LOS004",
        where=f"{losses[1].split('/', 1)[1]}/{term}",
        message=(
            f"term {shown(term, 16)} weighs {first:.2g} in {names[0]} and {second:.2g} in "
            f"{names[1]}, each beside an adversarial term of 1"
        ),
        evidence=(Evidence(ratio, ">", SLIGHTLY, (int(steps[0]), int(steps[0]))),),
        severity="warning" if times > APART else "info",
    )


def _weights(run: Run, loss: str) -> dict[str, Series]:
    """Weights of a loss's terms, under names that both sides would give them."""
    found: dict[str, Series] = {}
    for series in run.matching(f"weight/{loss}/*"):
        name = series.name.split("/", 2)[2]
        plain = SIDE.sub("", SIDE.sub("", name))
        if len(series) > 1 and end_level(series) == end_level(series):
            found.setdefault(plain or name, series)
    return found


def _own(weights: Mapping[str, Series], shared: set[str]) -> float:
    """The largest weight of a loss's own adversarial terms; 0 where it has none."""
    own = {name: abs(end_level(s)) for name, s in weights.items() if name not in shared}
    fooling = [w for name, w in own.items() if is_adversarial(name)]
    return max(fooling or own.values(), default=0.0)
