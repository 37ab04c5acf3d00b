"""SYS004 low-utilisation: the machine could do the arithmetic of a step many times as fast.

## Why is this bad?
Most of the time is spent on something else than the matrix products and convolutions the training
consists of: on starting small operations, on moving numbers, on Python.

## How it is detected
The operations of one step (`flops/step`, counted in its forward passes) at the rate a product of
two large matrices reaches on this machine (`flops/attainable`) would take less than `USED` of the
time a step takes: on a processor its own time, `seconds/processor`, else `seconds/step`. It is a
*warning* where the arithmetic alone takes longer than `WORTH` a step. A small model is bound to be
below `USED`: it is an *info*, and nothing at all below `TINY`.

## Example
>>> from unstuck import Run
>>> facts = {"flops/step": 1e9, "flops/attainable": 1e11}
>>> def run(seconds, flops=1e9):
...     return Run.of(facts={**facts, "flops/step": flops}, seconds__processor=[seconds] * 20)
>>> [(f.message, f.severity) for f in low_utilisation(run(0.5))]
[('a step takes 0.5 s, its arithmetic 0.01 s at the attainable rate: 2.0% of the machine is used',
'warning')]
>>> [f.severity for f in low_utilisation(run(0.4))]
['warning']
>>> [f.severity for f in low_utilisation(run(0.06, 1.2e8))]
['warning']
>>> [f.severity for f in low_utilisation(run(0.06, 0.8e8))]
['info']
>>> [f.severity for f in low_utilisation(run(0.06, 4e7))]
['info']

## Look-alikes
Ordinary training (0.05 to 0.5 of the rate of large products is usual), and a tiny model:

>>> list(low_utilisation(run(0.28)))
[]
>>> list(low_utilisation(run(0.06, 2.5e7)))
[]

## What to try
`raise-batch-size`, `add-data-workers`

## References
- Chowdhery et al., PaLM (model FLOPs utilisation, appendix B), 2022,
  <https://arxiv.org/abs/2204.02311>
- Williams, Waterman & Patterson, Roofline, CACM 2009, <https://doi.org/10.1145/1498765.1498785>
"""

import math
from collections.abc import Iterator

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series, Severity
from unstuck.signals.levels import median

USED = 0.03  # of the attainable rate; healthy runs had 0.06 or more, sick ones 0.02 (LOG.md)
WORTH = 1e-3  # seconds of arithmetic a step: below, starting the operations takes longer
TINY = 3e-4  # seconds of arithmetic a step: nobody trains such a model for its speed


@detector("SYS004", needs=("seconds/*",), needs_facts=("flops/step", "flops/attainable"))
def low_utilisation(run: Run) -> Iterator[Finding]:
    name = "seconds/processor" if "seconds/processor" in run.series else "seconds/step"
    if name not in run.series or len(run.series[name]) < 2:
        return
    step = median(run.series[name])
    flops, rate = (_number(run, fact) for fact in ("flops/step", "flops/attainable"))
    if not (step > 0 and flops > 0 and rate > 0):
        return
    ideal = flops / rate
    used = ideal / step
    if ideal < TINY or used >= USED:
        return
    last = int(run.series[name].step[-1])
    of_rate = Series("share of the attainable rate", np.array([last]), np.array([used]))
    severity: Severity = "warning" if ideal > WORTH else "info"
    yield Finding(
        "SYS004",
        where="step",
        message=(
            f"a step takes {step:.2g} s, its arithmetic {ideal:.2g} s at the attainable rate: "
            f"{used:.1%} of the machine is used"
        ),
        evidence=(Evidence(of_rate, "<", USED, (last, last)),),
        severity=severity,
    )


def _number(run: Run, fact: str) -> float:
    told = run.facts[fact]
    return float(told) if isinstance(told, int | float) else math.nan
