"""raise-learning-rate: take larger steps.

## What it changes
`lr/<optimizer>` of the optimizer the finding is about (of the discriminator's where it hardly
learns). Where the probe `learning-rate-range` has measured the best rate: to that. Else by the
factor that brings the update ratio to `WANTED`, where it is known and lower; and times 10 and times
100. The schedule keeps its shape.

## What is expected
A loss that is flat because the steps are too short begins to fall: it ends below that of the
untreated run.

## When it does not help
Where the loss is flat because nothing can be gained: dead layers, a collapsed latent, wrong labels.
There it makes things worse.

## Origin
- Smith, Cyclical Learning Rates for Training Neural Networks (range test), 2017,
  <https://arxiv.org/abs/1506.01186>
- `WANTED`: of 680 optimizers of our healthy runs one in twenty moved its weights by less than 9e-4
  of themselves in a step of the middle, half of them by less than 4.5e-3 (LOG.md).

>>> from unstuck import Finding, Run
>>> run = Run.of(lr__sgd=[1e-6] * 9, update_ratio__sgd=[2e-8] * 9)
>>> [t.changes for t in raise_learning_rate(run, Finding("OPT004", "loss/train", "", ()))]
[{'lr/sgd': 'x50000'}, {'lr/sgd': 'x10'}, {'lr/sgd': 'x100'}]
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy
from unstuck.signals.inventory import discriminators_optimizers, optimizers_of
from unstuck.signals.levels import median
from unstuck.signals.usable_rates import best_rate

FACTORS = (10.0, 100.0)  # decades: below a tenth too little of what is wrong is mended
WANTED = 1e-3  # share of the weights moved in a step
LEAST = 3.0  # a smaller factor is within what a schedule does
MOST = 1e6


@remedy("OPT002", "OPT004", "GRD003", "ADV005", safety="changes-training")
def raise_learning_rate(run: Run, finding: Finding) -> Iterator[Treatment]:
    if finding.code == "ADV005":
        chosen = discriminators_optimizers(run)
    else:
        chosen = optimizers_of(run, finding.where)
    values: list[float | str] = [f"x{factor:g}" for factor in _factors(run, chosen)]
    best = best_rate(run, chosen)
    if best is not None and best.value > best.now:
        values.insert(0, best.value)
    for value in values[:3] if chosen else ():
        yield Treatment(
            name=f"learning rate of {' and '.join(chosen)} {value}",
            remedy="raise-learning-rate",
            changes={f"lr/{name}": value for name in chosen},
            expectation="the loss begins to fall and ends below that of the untreated run",
            answers=(finding.code,),
        )


def _factors(run: Run, chosen: list[str]) -> list[float]:
    """The factor that the update ratio asks for, where it does, and the usual ones."""
    ratios = [median(s) for s in (run.series.get(f"update_ratio/{n}") for n in chosen) if s]
    wanted = [WANTED / ratio for ratio in ratios if 0 < ratio < WANTED]
    asked = float(f"{min(MOST, min(wanted)):.1g}") if wanted else 0.0
    return list(dict.fromkeys([*([asked] if asked >= LEAST else []), *FACTORS]))
