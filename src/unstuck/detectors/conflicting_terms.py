"""LOS003 conflicting-terms: two terms of a loss pull the same weights in opposite directions.

## Why is this bad?
What one step gains for one term it takes from the other. Neither is learned; the weights settle
where both are as bad, and no weighting of the two changes more than who loses.

## How it is detected
The cosine of their gradients on the shared weights (`gradient_cosine/<loss>/<a>:<b>`) is below
`OPPOSED` in median over the last half of its readings, each makes at least `FELT` of the gradient,
and both end between `LEFT` and `RISEN` times their start: neither was learned, and neither is a
price paid for the other. In a sum at its optimum the terms always oppose each other, so a
compromise in which one of them has fallen, or a regulariser has risen with what was learned, is
none. Losses of discriminators play real against made on purpose and do not count.

## Example
>>> from unstuck import Run
>>> def run(cosine=-0.8, end=0.7, other=0.7, share=0.5, loss="loss", late=None):
...     cosines = [cosine] * 10 + [cosine if late is None else late] * 10
...     return Run.of(**{f"loss/{loss}": [1.4] * 20, "loss/main": [1.4] * 20,
...         f"term/{loss}/a": [0.7] * 10 + [end] * 10, f"term/{loss}/b": [0.7] * 10 + [other] * 10,
...         f"gradient_share/{loss}/a": [share] * 20, f"gradient_share/{loss}/b": [1 - share] * 20,
...         f"gradient_cosine/{loss}/a:b": cosines})
>>> [finding.message for finding in conflicting_terms(run())]
['gradients of a and b in loss have cosine -0.80; both terms stay, at 100% and 100% of their start']
>>> [len(conflicting_terms(r)) for r in (run(end=0.5), run(other=0.95), run(share=0.25))]
[1, 1, 1]

## Look-alikes
Terms that hardly oppose each other, or only at first, a compromise in which one falls or a
regulariser rises, a light term, and a discriminator's:

>>> conflicting_terms(run(-0.5)) + conflicting_terms(run(late=-0.2))
[]
>>> conflicting_terms(run(end=0.3)) + conflicting_terms(run(other=1.2))
[]
>>> conflicting_terms(run(share=0.15))
[]
>>> conflicting_terms(run(loss="d_loss"))
[]

## What to try
`lower-term-weight`

## References
- Yu et al., Gradient Surgery for Multi-Task Learning, 2020, <https://arxiv.org/abs/2001.06782>
- Du et al., Adapting Auxiliary Losses Using Gradient Similarity, 2018,
  <https://arxiv.org/abs/1812.02224>
"""

from collections.abc import Iterator

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Floats, Run, Series
from unstuck.signals.games import is_discriminators
from unstuck.signals.levels import median, share_left
from unstuck.signals.names import shown
from unstuck.signals.spans import finite

OPPOSED = -0.6  # cosine; opposite goals -0.84 to -1.0, most healthy pairs above -0.3 (LOG.md)
FELT = 0.2  # share of the gradient; opposite goals had 0.41 or more each (LOG.md)
LEFT = 0.55  # share of the start; opposite goals 0.74 to 1.0, compromises 0.43 or less (LOG.md)
RISEN = 1.5  # times the start; prices paid for another term rose to 1.77 and more (LOG.md)


@detector(
    "LOS003",
    needs=("term/*/*", "gradient_share/*/*", "gradient_cosine/*/*"),
    explains=("OPT004", "GEN002", "OPT002"),
)
def conflicting_terms(run: Run) -> Iterator[Finding]:
    for cosine in run.matching("gradient_cosine/*/*"):
        _, loss, pair = cosine.name.split("/", 2)
        names = _terms(run, loss, pair)
        known = finite(cosine)
        if len(known) < 2 or names is None or _is_discriminators(run, loss):
            continue
        half = Series(f"{cosine.name} (median of the last half)", known.step[-1:], _half(known))
        left = [share_left(run.series[f"term/{loss}/{name}"]) for name in names]
        shares = [run.series.get(f"gradient_share/{loss}/{name}") for name in names]
        felt = all(s is not None and median(s) > FELT for s in shares)
        if not half.value[0] < OPPOSED or not felt or not all(LEFT < x < RISEN for x in left):
            continue
        step = int(half.step[-1])
        first, second = (shown(name, 16) for name in names)
        yield Finding(
            "LOS003",
            where=f"{loss}/{names[0]}",
            message=(
                f"gradients of {first} and {second} in {shown(loss, 14)} have cosine "
                f"{half.value[0]:.2f}; both terms stay, at {left[0]:.0%} and {left[1]:.0%} of "
                "their start"
            ),
            evidence=(Evidence(half, "<", OPPOSED, (step, step)),),
        )


def _half(series: Series) -> Floats:
    value = series.value[len(series) // 2 :]
    return np.array([median(Series(series.name, series.step[-len(value) :], value))])


def _terms(run: Run, loss: str, pair: str) -> tuple[str, str] | None:
    """The two names in `a:b`, either of which may hold a colon."""
    for at in (i for i, c in enumerate(pair) if c == ":"):
        first, second = pair[:at], pair[at + 1 :]
        if f"term/{loss}/{first}" in run.series and f"term/{loss}/{second}" in run.series:
            return first, second
    return None


def _is_discriminators(run: Run, loss: str) -> bool:
    series = run.series.get(f"loss/{loss}")
    return series is not None and is_discriminators(run, series)
