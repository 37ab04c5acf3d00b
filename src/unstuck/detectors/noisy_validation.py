"""GEN003 noisy-validation: a validation metric jumps more than it ever gained, so none is the best.

## Why is this bad?
The checkpoint that is kept, the moment to stop and the setting that is preferred are drawn by lot,
and the best reading promises what the model does not hold.

## How it is detected
In the second half of the readings of a validation metric whose direction is known, the scatter from
one reading to the next (trimmed mean difference, as a standard deviation) is more than `SWAMPS`
times what was gained from the worst of the first three readings to the mean of that half (for a
loss, from the start of the training loss, if that is higher: much may be gained by then), and more
than `ROUGH` of that mean: a metric that is good from the start gains little and harms nobody. It is
a *warning* where that is so of every validation metric, else an *info*. What an agent earns in
reinforcement learning is noisy by nature and not looked at.

## Example
>>> from unstuck import Run
>>> noise = [(3 * t * t + 7 * t + 23) % 101 / 50 - 1 for t in range(90)]
>>> def metric(scatter, gain, level=0.5, turn=1, n=90):
...     course = [level + turn * gain] * 5 + [level] * (n - 5)
...     return [c + scatter * noise[t] for t, c in enumerate(course)]
>>> def run(scatter=0.4, gain=0.2, level=0.5, **more):
...     return Run.of(metric__val__accuracy=metric(scatter, -gain, level), **more)
>>> [finding.message for finding in noisy_validation(run())]
['metric/val/accuracy scatters by 0.24 and gained 0.41 in all: the best of 90, 0.9, is luck']
>>> len(noisy_validation(run(level=0.9)))
1
>>> beside = noisy_validation(run(metric__val__loss=metric(0.01, 1.0)))
>>> [finding.severity for finding in beside]
['info']

## Look-alikes
A metric that gained more than it jumps, one that was good from the start, one that got worse, one
with few readings, and an agent's score:

>>> noisy_validation(run(gain=0.5))
[]
>>> noisy_validation(run(0.14, 0.0))
[]
>>> noisy_validation(run(gain=-0.4))
[]
>>> noisy_validation(Run.of(metric__val__accuracy=metric(0.4, -0.2, n=18)))
[]
>>> noisy_validation(run(loss__policy_loss=[0.0] * 90))
[]

## What to try
`add-validation-samples`, `lower-learning-rate`

## References
- Bouthillier et al., Accounting for Variance in Machine Learning Benchmarks, 2021,
  <https://arxiv.org/abs/2103.03098>
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series
from unstuck.signals.games import is_reinforcement, lone_losses
from unstuck.signals.names import shown
from unstuck.signals.scatter import scatter
from unstuck.signals.spans import finite
from unstuck.signals.splits import direction
from unstuck.signals.stages import by_stage
from unstuck.signals.units import first_level
from unstuck.signals.windows import FEW

SWAMPS = 0.4  # times the gain; twenty samples an evaluation scattered by 0.12 of it (LOG.md)
ROUGH = 0.2  # of the level; of 3,376 simulated runs 36 were warned of at 0.1, 5 at 0.2 (LOG.md)


@dataclass(frozen=True, slots=True)
class Scatter:
    """How a validation metric jumps, what it gained in all, and its best reading."""

    series: Series
    jump: float
    gain: float
    best: float


@detector("GEN003", needs=("metric/val/*",))
def noisy_validation(run: Run) -> Iterator[Finding]:
    if is_reinforcement(run):
        return
    metrics = [s for s in run.matching("metric/val/*") if direction(s.name)]
    parts = [part for s in metrics for part in by_stage(run, s) if len(finite(part)) >= 2 * FEW]
    noisy = [found for part in parts if (found := _scatter(run, part))]
    for one in sorted(noisy, key=lambda s: -s.jump / s.gain)[:1]:
        last = one.series.step[-1:]
        jump = Series(f"{one.series.name} (scatter)", last, np.array([one.jump]))
        yield Finding(
            "GEN003",
            where=one.series.name,
            message=(
                f"{shown(one.series.name, 32)} scatters by {one.jump:.2g} and gained "
                f"{one.gain:.2g} in all: the best of {len(one.series)}, {one.best:.3g}, is luck"
            ),
            evidence=(Evidence(jump, ">", SWAMPS * one.gain, (int(last[0]), int(last[0]))),),
            severity="warning" if len(noisy) == len(parts) else "info",
        )


def _scatter(run: Run, series: Series) -> Scatter | None:
    """What a metric's second half scatters by, where that swamps its gain and is a large part."""
    clean, sign = finite(series), direction(series.name)
    value = sign * clean.value
    half = value[len(value) // 2 :]
    jump, level = scatter(half), float(half.mean())
    starts = [first_level(run, s) for s in lone_losses(run) if "loss" in series.name]
    gain = max(float(value[:3].max()), *starts, -math.inf) - level
    if not (gain > 0 and jump > SWAMPS * gain and jump > ROUGH * abs(level)):
        return None
    return Scatter(clean, jump, gain, sign * float(value.min()))
