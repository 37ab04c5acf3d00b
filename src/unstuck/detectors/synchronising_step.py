"""SYS002 synchronising-step: numbers are read out of tensors at every step, one by one.

## Why is this bad?
`item`, `tolist`, `print` or `if` on a tensor wait until the device has done all it was given, and a
loop over single numbers does in Python what one operation on the tensor would do. On a GPU a single
one in each step keeps the device idle while the next step is prepared.

## How it is detected
`seconds/readouts`, the time of the rows of such readings, is above `SHARE` of a step at its median,
or of the processor's time where that is less (other programs may have run beside it): a *warning*.
Where every step reads numbers from a GPU (`readouts/cuda`) it is an *info*, whatever it takes: what
one costs there depends on how far the device has fallen behind.

## Example
>>> from unstuck import Run
>>> row = Run.of(seconds__readouts=[0.004] * 20, readouts__cpu=[256.0] * 20,
...              seconds__step=[0.01] * 20)
>>> [(f.message, f.severity) for f in synchronising_step(row)]
[('256 numbers are read out of tensors at every step: 40% of its time', 'warning')]
>>> gpu = Run.of(seconds__readouts=[0.0] * 20, readouts__cuda=[3.0] * 20, seconds__step=[0.1] * 20)
>>> [(f.message, f.severity) for f in synchronising_step(gpu)]
[('3 numbers are read from cuda at every step; each waits for all it was given', 'info')]

>>> crowded = Run.of(seconds__readouts=[0.004] * 20, readouts__cpu=[256.0] * 20,
...                  seconds__step=[0.05] * 20, seconds__processor=[0.01] * 20)
>>> [f.severity for f in synchronising_step(crowded)]
['warning']

## Look-alikes
A loss that is printed at every step of a training on the processor, and numbers that are read every
so many steps only:

>>> list(synchronising_step(Run.of(seconds__readouts=[0.0025] * 20, readouts__cpu=[2.0] * 20,
...                                seconds__step=[0.01] * 20)))
[]
>>> list(synchronising_step(Run.of(seconds__readouts=[0.004, 0.0, 0.0, 0.0, 0.0] * 4,
...                                readouts__cuda=[9.0, 0.0, 0.0, 0.0, 0.0] * 4,
...                                seconds__step=[0.01] * 20)))
[]

## What to try
`drop-readouts`

## References
- PyTorch, Performance Tuning Guide, "Avoid unnecessary CPU-GPU synchronization",
  <https://docs.pytorch.org/tutorials/recipes/recipes/tuning_guide.html>
"""

from collections.abc import Iterator

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series
from unstuck.signals.levels import median

SHARE = 0.3  # of a step; healthy loops took 0.01 at most, loops over samples 0.8 or more (LOG.md)


@detector("SYS002", needs=("seconds/readouts", "seconds/step"), explains=("SYS004",))
def synchronising_step(run: Run) -> Iterator[Finding]:
    seconds = run.series["seconds/readouts"]
    times = (
        median(run.series[n]) for n in ("seconds/step", "seconds/processor") if n in run.series
    )
    step = min((t for t in times if t > 0), default=0.0)
    counts = {s.name.split("/", 1)[1]: median(s) for s in run.matching("readouts/*")}
    if len(seconds) < 2 or not step > 0:
        return
    with np.errstate(over="ignore"):
        share = np.array([median(seconds)]) / step
    middle = Series(f"{seconds.name} (median, of a step)", seconds.step[-1:], share)
    at = int(seconds.step[-1])
    if np.isfinite(share[0]) and share[0] > SHARE:
        yield Finding(
            "SYS002",
            where="step",
            message=(
                f"{max(counts.values(), default=0.0):.0f} numbers are read out of tensors at every "
                f"step: {min(share[0], 1.0):.0%} of its time"
            ),
            evidence=(Evidence(middle, ">", SHARE, (at, at)),),
        )
        return
    for device, count in counts.items():
        if device != "cpu" and count >= 1:
            read = run.series[f"readouts/{device}"]
            often = Series(f"{read.name} (median)", read.step[-1:], np.array([count]))
            last = int(read.step[-1])
            yield Finding(
                "SYS002",
                where=device[:20],
                message=(
                    f"{count:.0f} numbers are read from {device[:20]} at every step; each waits "
                    "for all it was given"
                ),
                evidence=(Evidence(often, ">", 0.0, (last, last)),),
                severity="info",
            )
