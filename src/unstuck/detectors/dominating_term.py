"""LOS001 dominating-term: one term makes nearly all of a loss's gradient; another gets nowhere.

## Why is this bad?
The weights follow one goal only. The other term was given a weight, so it was meant to be pursued.

## How it is detected
For the last `LASTING` of the run one term's `gradient_share` stays above `DOMINATES`, while another
term of the same loss still has `LEFT` or more of its value at the start. That term was not weighed
down on purpose (its weight is at least `MEANT` of the dominating one's, or `UP`: nobody weighs up
what is not to be pursued) and has some gradient (`FELT` of all; with less it is an `inert-term`). A
large share of the *value* is no sign: an L1 x 100 beside an adversarial term is made so.
Adversarial terms are not meant to fall and do not count.

A share of `LEADS` is enough where the dominating term, times its weight, began more than `TOWERS`
times as high as the other, which then crawls down: that is a term in raw units (pixels, metres),
and no regulariser at its floor.

## Example
>>> from unstuck import Run
>>> def run(share, since=25, start=2.3, end=2.2, weight=0.7, name="label", depth=80.0,
...         heavy=5.0):
...     return Run.of(**{
...         "term/loss/depth": [depth, 0.9 * depth, depth] * 20,
...         f"term/loss/{name}": [start] * 30 + [end] * 30,
...         "weight/loss/depth": [heavy] * 60, f"weight/loss/{name}": [weight] * 60,
...         "gradient_share/loss/depth": [0.9] * since + [share] * (60 - since),
...         f"gradient_share/loss/{name}": [0.1] * since + [1 - share] * (60 - since)})
>>> [finding.message for finding in dominating_term(run(0.9995))]
['term depth makes 99.95% of the gradient of loss since step 25; term label keeps 96% of its start']
>>> [finding.where for finding in dominating_term(run(1 - 1.3e-5))]
['loss/depth']
>>> [finding.where for finding in dominating_term(run(0.985, end=1.8, depth=120.0))]
['loss/depth']
>>> [finding.where for finding in dominating_term(run(0.9995, weight=12.0, heavy=2e5))]
['loss/depth']

## Look-alikes
A term that leaves the others a share, one that dominates for a while only, one beside a term that
falls all the same, one beside a term weighed down on purpose or inert, one beside an adversary, and
one beside a regulariser that grows:

>>> dominating_term(run(0.998))
[]
>>> dominating_term(run(0.97, end=1.8, depth=900.0))
[]
>>> dominating_term(run(0.985, end=2.4, depth=900.0))
[]
>>> dominating_term(run(0.9995, since=35))
[]
>>> dominating_term(run(0.9995, end=1.5))
[]
>>> dominating_term(run(0.9995, weight=0.4)) + dominating_term(run(0.9995, weight=9.0, heavy=2e5))
[]
>>> dominating_term(run(1 - 8e-6))
[]
>>> dominating_term(run(0.9995, name="adv"))
[]

## What to try
`lower-term-weight`, `raise-term-weight`

## References
- Chen et al., GradNorm, 2018, <https://arxiv.org/abs/1711.02257>
- Kendall, Gal & Cipolla, Multi-Task Learning Using Uncertainty, 2018,
  <https://arxiv.org/abs/1705.07115>
"""

import math
from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run
from unstuck.signals.games import ADVERSARIAL_TERM
from unstuck.signals.levels import median, share_left, start_level
from unstuck.signals.names import shown
from unstuck.signals.spans import last_span_beyond, length
from unstuck.signals.terms import Term, terms_by_loss

DOMINATES = 0.999  # share; a light weight decay left 0.998, a task in raw units 0.9998 (LOG.md)
LASTING = 0.5  # share of the run
LEADS = 0.98  # share; boxes measured in pixels left their detector's other terms 0.012 (LOG.md)
TOWERS = (
    300.0  # times; boxes in pixels began 1,200 times as high, a balanced term within 73 (LOG.md)
)
LEFT = 0.7  # share of the start; terms that are pursued kept 0.6 or less (LOG.md)
FELT = 1e-5  # share; the limit below which LOS002 calls a term inert
UP = 10.0  # weight; an L1 term of 100 beside a perceptual one of 200,000 (LOG.md)
MEANT = 0.1  # of the dominating weight; regularisers are weighed below it on purpose


@detector(
    "LOS001",
    needs=("term/*/*", "weight/*/*", "gradient_share/*/*"),
    explains=("LOS002", "OPT004"),
)
def dominating_term(run: Run) -> Iterator[Finding]:
    for terms in terms_by_loss(run, "gradient_share"):
        for term in terms:
            share = run.series[f"gradient_share/{term.loss}/{term.name}"]
            others = [t for t in terms if t is not term and _gets_nowhere(t, term)]
            below = [t for t in others if _towers(term, t) and _left(t) < 1]
            limit = LEADS if below else DOMINATES
            span = last_span_beyond(share, ">", limit, at_least=LASTING * length(share))
            if not span or not others:
                continue
            worst = max(below or others, key=_left)
            yield Finding(
                "LOS001",
                where=f"{term.loss}/{term.name}",
                message=(
                    f"term {shown(term.name, 16)} makes {share.value[-1]:.2%} of the gradient of "
                    f"{shown(term.loss, 16)} since step {span[0]}; "
                    f"term {shown(worst.name, 16)} keeps {_left(worst):.0%} of its start"
                ),
                evidence=(Evidence(share, ">", limit, span),),
            )


def _left(term: Term) -> float:
    values = term.series("term")
    return share_left(values) if values is not None else math.nan


def _towers(term: Term, other: Term) -> bool:
    """Whether a term, as it enters the loss, began far above another one."""
    top, bottom = term.series("term"), other.series("term")
    if top is None or bottom is None:
        return False
    low = start_level(bottom) * abs(_weight(other))
    return start_level(top) * abs(_weight(term)) > TOWERS * low > 0


def _weight(term: Term) -> float:
    weight = term.series("weight")
    return median(weight) if weight is not None else math.nan


def _gets_nowhere(term: Term, dominating: Term) -> bool:
    """Whether a term that was meant to be pursued has kept its value."""
    if ADVERSARIAL_TERM.search(term.name):
        return False
    least = min(MEANT * abs(_weight(dominating)), UP)
    meant = abs(_weight(term)) >= least > 0
    share = term.series("gradient_share")
    felt = share is not None and median(share) > FELT
    return meant and felt and _left(term) > LEFT
