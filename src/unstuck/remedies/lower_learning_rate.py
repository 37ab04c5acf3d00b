"""lower-learning-rate: take smaller steps, a third or a tenth of the present ones.

## What it changes
`lr/<optimizer>` of the optimizer the finding is about; of the discriminator's where the
discriminator won; else of every optimizer of the run: to the best rate where the probe
`learning-rate-range` has measured it, else to a third and to a tenth. The schedule keeps its shape.

## What is expected
A loss that jumped or climbed falls steadily; units that died stay alive; a discriminator that won
every step leads by less.

## When it does not help
Where steps are already short (update ratios below 1e-3): the same fault then comes later. Where
inputs are a hundred times too large, normalising them is the cure.

## Origin
- Goodfellow, Bengio & Courville, Deep Learning, 2016, section 11.4.1,
  <https://www.deeplearningbook.org>

>>> from unstuck import Finding, Run
>>> run = Run.of(lr__adam=[0.3, 0.3])
>>> [t.changes for t in lower_learning_rate(run, Finding("OPT001", "adam", "", ()))]
[{'lr/adam': 'x0.3'}, {'lr/adam': 'x0.1'}]
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy
from unstuck.signals.inventory import discriminators_optimizers, optimizers_of
from unstuck.signals.usable_rates import best_rate

FACTORS = ("x0.3", "x0.1")  # half a decade and a decade: the grid in which rates are searched


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
    for value in [*measured, *FACTORS] if chosen else ():
        yield Treatment(
            name=f"learning rate of {' and '.join(chosen)} {value}",
            remedy="lower-learning-rate",
            changes={f"lr/{name}": value for name in chosen},
            expectation="the loss falls steadily and ends below that of the untreated run",
            answers=(finding.code,),
        )
