"""CTX004 polluted-pool: a pool of samples gets worse while training gets better.

## Why is this bad?
What cannot be learnt (wrong labels, broken samples, patterns grown astray) stays in the pool and is
trained on again and again; in the end the gradient is made of old failures.

## How it is detected
The median loss of the pool, `pool/<x>/median` of what `run.pool` is told, stays to the end above
`RISEN` times the lowest of its own first readings and the start of a loss that falls, for `LASTING`
of the run and `FOR_STEPS` steps at least: what is fresh is learnt, and what is kept is not.

## Example
>>> from unstuck import Run, Series
>>> import numpy as np
>>> def run(pool, since=20, n=360, end=1.9, back=None, first=2.3):
...     steps = np.arange(n)
...     median = np.where(steps < since, first, pool)
...     if back:
...         median[-back:] = 0.4
...     loss = np.linspace(2.3, end, n)
...     columns = {"pool/pool/median": median, "loss/loss": loss}
...     return Run({k: Series(k, steps, v) for k, v in columns.items()})
>>> [finding.message for finding in polluted_pool(run(2.6))]
['median loss in pool has been above 2.3, as at the start, since step 20, now 2.6']

## Look-alikes
A pool that gets better, one that was filled with hard samples before they were learnt, one that was
empty at first, a loss that rises with the pool (as returns do, or after damage that is part of the
recipe), and a short run:

>>> polluted_pool(run(1.6)) + polluted_pool(run(2.6, back=100))
[]
>>> polluted_pool(run(0.4, first=1e-6)) + polluted_pool(run(0.4, first=0.0))
[]
>>> polluted_pool(run(2.6, end=2.3)) + polluted_pool(run(2.6, end=3.0))
[]
>>> polluted_pool(run(2.6, n=250)) + polluted_pool(run(2.6, since=600, n=1000))
[]
>>> len(polluted_pool(run(2.6, since=400, n=1000)) + polluted_pool(run(4.0)))
2

## What to try
`drop-broken-samples`, `drop-failed-samples`

## References
- Mordvintsev et al., Growing Neural Cellular Automata (sample pools), 2020,
  <https://distill.pub/2020/growing-ca>
- Katharopoulos & Fleuret, Not All Samples Are Created Equal, 2018,
  <https://arxiv.org/abs/1803.00942>
"""

from collections.abc import Iterator

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run
from unstuck.signals.codes import lasts_above
from unstuck.signals.levels import FIRST, end_level, start_level
from unstuck.signals.names import shown, where_of
from unstuck.signals.spans import between, finite
from unstuck.signals.trends import trend

RISEN = 1.0  # times its first level; polluted pools rose by 2 to 20 %, others fell by half (LOG.md)
FOR_STEPS = 250  # a pool of the hardest digits rose for some 60 steps and then fell (LOG.md)
LASTING = 0.5  # share of the run


@detector("CTX004", needs=("pool/*/median", "loss/*"))
def polluted_pool(run: Run) -> Iterator[Finding]:
    starts = [start_level(s) for s in run.matching("loss/*") if (t := trend(s)) and t.falls]
    if not starts:
        return
    for median in map(finite, run.matching("pool/*/median")):
        first = max(float(median.value[:FIRST].min(initial=np.inf)), min(starts))
        if not 0 < first < np.inf:
            continue
        span = lasts_above(median, RISEN * first, FOR_STEPS, LASTING)
        if span is not None:
            name = where_of(median.name)
            yield Finding(
                "CTX004",
                where=name,
                message=(
                    f"median loss in {shown(name)} has been above {first:.3g}, as at the start, "
                    f"since step {span[0]}, now {end_level(between(median, *span)):.3g}"
                ),
                evidence=(Evidence(median, ">", RISEN * first, span),),
            )
