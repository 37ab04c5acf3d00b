"""DAT005 unshuffled-batches: the labels of a batch are of one kind; samples come sorted.

## Why is this bad?
Each batch teaches one answer and the next unteaches it. Weights swing from class to class, and
batch statistics are those of one class; what is held out is judged by whichever came last.

## How it is detected
Two labels of a batch are equal far more often than two of the whole run: `target/*/alike` is above
its level overall (`alike_overall` at the end) by `ONE_KIND` of what is left to one, in medians over
tenths of the run, in at least `MOSTLY` of them, over at least `FOR_STEPS` steps. Gradients that
are accumulated count as one batch, and so do the real and the made samples of a game.

## Example
>>> from unstuck import Run, Series
>>> def run(alike, overall=0.1, sorted_for=40, n=40, every=10):
...     labels = [alike] * sorted_for + [overall] * (n - sorted_for)
...     values = {"alike": labels, "alike_overall": [overall] * n}
...     names = {f"target/cross_entropy/{key}": value for key, value in values.items()}
...     steps = [every * i for i in range(n)]
...     return Run({name: Series(name, steps, value) for name, value in names.items()})
>>> [finding.message for finding in unshuffled_batches(run(0.8))]
['two labels of a batch of cross_entropy are equal in 80% of all cases, of the whole run in 10%']
>>> [len(unshuffled_batches(r)) for r in (run(0.65), run(1.0, 0.52), run(0.8, sorted_for=38))]
[1, 1, 1]
>>> len(unshuffled_batches(run(0.8, every=3)))
1

## Look-alikes
Shuffled batches, ones that hold a few classes each, a single class all along, a curriculum that
begins with few classes, and short runs:

>>> unshuffled_batches(run(0.12)) + unshuffled_batches(run(0.5)) + unshuffled_batches(run(0.5, 0.3))
[]
>>> unshuffled_batches(run(1.0, 1.0)) + unshuffled_batches(run(0.95, 0.93))
[]
>>> unshuffled_batches(run(0.9, sorted_for=24)) + unshuffled_batches(run(0.9, every=2))
[]

## What to try
`use-shuffled-batches`

## References
- Bengio, Practical Recommendations for Gradient-Based Training of Deep Architectures, section 3.1,
  2012, <https://arxiv.org/abs/1206.5533>
"""

from collections.abc import Iterator

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run
from unstuck.signals.levels import end_level, median
from unstuck.signals.names import shown
from unstuck.signals.spans import finite, length, longest_span_beyond
from unstuck.signals.windows import FEW, in_windows

ONE_KIND = 0.5  # a buffer of two batches left 0.6; four classes of ten a batch make 0.13 (LOG.md)
MOSTLY = 0.75  # share of the tenths; a curriculum's first classes lasted a quarter (LOG.md)
FOR_STEPS = 100  # updates; after less, an epoch may not have come to its second class


@detector(
    "DAT005",
    needs=("target/*/alike", "target/*/alike_overall"),
    explains=("OPT005", "OPT003", "OPT004", "OPT001", "GEN002", "GEN003", "DAT009"),
)
def unshuffled_batches(run: Run) -> Iterator[Finding]:
    for alike in run.matching("target/*/alike"):
        overall = run.series.get(alike.name + "_overall")
        if overall is None or length(finite(alike)) < FOR_STEPS:
            continue
        calm, chance = in_windows(alike, FEW), end_level(overall)
        limit = chance + ONE_KIND * (1 - chance)
        if not chance < 1 or not np.mean(calm.value > limit) >= MOSTLY:
            continue
        span = longest_span_beyond(calm, ">", limit)
        if span:
            site = alike.name.split("/")[1]
            yield Finding(
                "DAT005",
                where=site,
                message=(
                    f"two labels of a batch of {shown(site, 32)} are equal in "
                    f"{median(alike):.0%} of all cases, of the whole run in {chance:.0%}"
                ),
                evidence=(Evidence(calm, ">", limit, span),),
            )
