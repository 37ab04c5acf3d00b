"""SYS003 growing-memory: the memory in use grows with every step.

## Why is this bad?
It ends when there is none left, often after hours and in the middle of an epoch. Most often
something keeps the graphs of past steps: losses added up or put in a list without `detach`.

## How it is detected
`bytes/<device>` rises from each fifth of the run to the next, the first one left out, and the last
rise is at least `STILL` of their mean, so that it has not come to rest. A growth by more than
`GROWN` of what was in use is a *warning*, as is one that fills the machine's memory (the fact
`memory/<device>`) within `SOON` times as many steps again; one by more than `SEEN` is an *info*.

## Example
>>> from unstuck import Run
>>> leak = Run.of(bytes__cpu=[4e7 + 1e5 * i for i in range(600)], facts={"memory/cpu": 1.6e9})
>>> [(f.message, f.severity) for f in growing_memory(leak)]
[('cpu memory grows by 100 kB a step, to 94 MB so far; 1.6 GB are full in 15,060 steps', 'warning')]
>>> soon = Run.of(bytes__cuda=[6e7 + 1.6e4 * i for i in range(600)], facts={"memory/cuda": 1.6e8})
>>> [f.severity for f in growing_memory(soon)]
['warning']
>>> slows = Run.of(bytes__cpu=[4e7 + 1e5 * min(i, 480) for i in range(600)])
>>> [f.severity for f in growing_memory(slows)]
['warning']
>>> later = Run.of(bytes__cuda=[5e7 + 1.4e4 * i for i in range(600)], facts={"memory/cuda": 1.6e8})
>>> [f.severity for f in growing_memory(later)]
['info']
>>> slow = Run.of(bytes__cpu=[4e7 + 5e4 * i for i in range(600)], facts={"memory/cpu": 1.6e9})
>>> [f.severity for f in growing_memory(slow)]
['warning']
>>> quarter = Run.of(bytes__cpu=[4e7 + 3.2e4 * i for i in range(600)], facts={"memory/cpu": 1.6e9})
>>> [f.severity for f in growing_memory(quarter)]
['info']
>>> slower = Run.of(bytes__cpu=[4e7 + 1.0e4 * i for i in range(600)])
>>> [f.severity for f in growing_memory(slower)]
['info']

## Look-alikes
An allocator that warms up, a data set that is being kept in memory until all of it is, a single
jump, batches of varying shapes, and a growth too small to matter:

>>> list(growing_memory(Run.of(bytes__cpu=[4e7 + 2e7 * min(1.0, i / 100) for i in range(600)])))
[]
>>> list(growing_memory(Run.of(bytes__cpu=[4e7 + 1e5 * min(i, 455) for i in range(600)])))
[]
>>> list(growing_memory(Run.of(bytes__cpu=[4e7] * 300 + [9e7] * 300)))
[]
>>> list(growing_memory(Run.of(bytes__cpu=[4e7 + 1e7 * (i * 7 % 5) for i in range(600)])))
[]
>>> list(growing_memory(Run.of(bytes__cpu=[4e7 + 0.8e4 * i for i in range(600)])))
[]

## What to try
`drop-kept-graphs`

## References
- PyTorch, Frequently Asked Questions, "My model reports cuda runtime error(2): out of memory",
  <https://docs.pytorch.org/docs/stable/notes/faq.html>
"""

import math
from collections.abc import Iterator

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series, Severity
from unstuck.signals.names import shown
from unstuck.signals.windows import in_windows

STILL = 0.5  # of the mean rise: a memory that fills up slows down before it rests
GROWN = 0.3  # of what was in use; sick runs grew by 0.5 and more (LOG.md)
SEEN = 0.08  # of what was in use; allocators of healthy runs grew by 0.03 at most (LOG.md)
SOON = 10.0  # times the steps so far


@detector("SYS003", needs=("bytes/*",))
def growing_memory(run: Run) -> Iterator[Finding]:
    for series in run.matching("bytes/*"):
        with np.errstate(over="ignore"):
            fifths = in_windows(series, 5)
        level = Series(fifths.name, fifths.step[1:], fifths.value[1:])  # the first is the start
        if len(level) < 4 or not level.value[0] > 0:
            continue
        with np.errstate(over="ignore", invalid="ignore"):
            rises = np.diff(level.value)
            grown = float(level.value[-1] / level.value[0]) - 1
        if not np.all(rises > 0) or rises[-1] < STILL * rises.mean() or not grown > SEEN:
            continue
        device = series.name.split("/", 1)[1]
        a_step = float(rises.sum()) / float(level.step[-1] - level.step[0])
        left = _steps_left(run, device, float(level.value[-1]), a_step)
        message = (
            f"{shown(device, 20)} memory grows by {_told(a_step)} a step, "
            f"to {_told(float(level.value[-1]))} so far"
        )
        if math.isfinite(left):
            total = float(run.facts[f"memory/{device}"])
            message += f"; {_told(total)} are full in {left:,.0f} steps"
        surely = grown > GROWN or left < SOON * run.last_step
        severity: Severity = "warning" if surely else "info"
        span = int(level.step[1]), int(level.step[-1])
        claim = Evidence(level, ">", float(level.value[0]), span)
        yield Finding("SYS003", device[:40], message, (claim,), severity)


def _steps_left(run: Run, device: str, now: float, a_step: float) -> float:
    """Steps until the memory there is is full at this pace; infinite where nobody knows."""
    total = run.facts.get(f"memory/{device}")
    known = isinstance(total, int | float) and math.isfinite(total) and now < total < 1e18
    return (float(total) - now) / a_step if known and total is not None else math.inf


def _told(count: float) -> str:
    """Bytes in the unit that keeps the number short."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.3g} B"
