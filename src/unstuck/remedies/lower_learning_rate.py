"""lower-learning-rate: take smaller steps, by what they move the weights or a third and a tenth.

## What it changes
`lr/<optimizer>` of the optimizer the finding is about; of the discriminator's where the
discriminator won; else of every optimizer of the run: to the best rate where the probe
`learning-rate-range` has measured it, else to a third and to a tenth. Where its first steps moved
the weights ten times as far as in healthy runs or more, to what would have moved them as far as
there, and to a tenth. The schedule keeps its shape.

## What is expected
A loss that jumped or climbed falls steadily; units that died stay alive; a discriminator that won
every step leads by less.

## When it does not help
Where steps are already short (update ratios below 1e-3): the same fault then comes later. Where
inputs are a hundred times too large, normalising them is the cure.

## Origin
- Goodfellow, Bengio & Courville, Deep Learning, 2016, section 11.4.1,
  <https://www.deeplearningbook.org>
- How far: the median update ratio of 680 optimizers of our healthy runs is 4.5e-3 (LOG.md).

>>> from unstuck import Finding, Run
>>> run = Run.of(lr__adam=[0.3, 0.3])
>>> [t.changes for t in lower_learning_rate(run, Finding("OPT001", "adam", "", ()))]
[{'lr/adam': 'x0.3'}, {'lr/adam': 'x0.1'}]
>>> run = Run.of(lr__adam=[0.3, 0.3], update_ratio__adam=[3.0, 0.4, 0.2])
>>> [t.changes for t in lower_learning_rate(run, Finding("OPT001", "adam", "", ()))]
[{'lr/adam': 'x0.01'}, {'lr/adam': 'x0.1'}]
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy
from unstuck.signals.inventory import discriminators_optimizers, optimizers_of
from unstuck.signals.usable_rates import best_rate

FACTORS = ("x0.3", "x0.1")  # half a decade and a decade: the grid in which rates are searched
TOO_FAR = ("OPT001", "NUM001", "ACT001")  # steps that move the weights too far are their cause
AIM = 4.5e-3  # update ratio: median of healthy runs
FIRST = 5  # readings whose median counts: later, weights that grew make it small
LEAST = 1e-3


@remedy(
    "ACT002",
    "OPT001",
    "OPT003",
    "OPT005",
    "OPT008",
    "OPT012",
    "NUM001",
    "ACT001",
    "ADV001",
    "GEN003",
    safety="changes-training",
)
def lower_learning_rate(run: Run, finding: Finding) -> Iterator[Treatment]:
    if finding.code == "ADV001":
        chosen = discriminators_optimizers(run)
    else:
        chosen = optimizers_of(run, finding.where)
    best = best_rate(run, chosen)
    measured: list[float | str] = [best.value] if best is not None and best.value < best.now else []
    factors = _factors(run, chosen) if finding.code in TOO_FAR else FACTORS
    for value in [*measured, *factors] if chosen else ():
        yield Treatment(
            name=f"learning rate of {' and '.join(chosen)} {value}",
            remedy="lower-learning-rate",
            changes={f"lr/{name}": value for name in chosen},
            expectation="the loss falls steadily and ends below that of the untreated run",
            answers=(finding.code,),
        )


def _factors(run: Run, optimizers: Sequence[str]) -> tuple[str, ...]:
    """Multiples to try: by how far the first steps moved the weights, where that was far."""
    series = [run.series.get(f"update_ratio/{name}") for name in optimizers]
    first = [s.value[:FIRST] for s in series if s is not None and len(s)]
    far = [float(np.median(v[np.isfinite(v)])) for v in first if np.isfinite(v).any()]
    if not far or max(far) < 10 * AIM:
        return FACTORS
    decades = math.floor(2 * math.log10(AIM / max(far))) / 2
    factor = max(LEAST, 10**decades)
    return (f"x{factor:.1g}", FACTORS[1]) if factor < 0.1 else FACTORS
