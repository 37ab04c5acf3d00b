"""OPT016 unstepped-schedule: a schedule was made for an optimizer and is never stepped.

## Why is this bad?
The rate stays where the schedule begins. A decay never comes, and the loss ends on the noise of
full steps; a warm-up that is never stepped leaves a rate of next to nothing for the whole run.
Nothing warns: `scheduler.step()` was left out, or stands in a branch that is not taken.

## How it is detected
`unstepped/<optimizer>` counts the steps of an optimizer that a scheduler was made for while none of
its schedulers has been stepped. It is a finding where the rate has been the same throughout and the
schedule is overdue, whatever it is counted in:

- `PASSES` passes through the data have ended, where a DataLoader gives it. Else:
- `VALIDATIONS` validations, or `LONG` steps; or the run has ended, and within `NEAR` of it the
  schedule would have, too.

It also has to ask for another rate by then: within as many of its steps as there were passes or
validations, or, counted in batches, after at least `COUNTED` of the run's steps and before its end.

It is a *warning*; an *error* where the rate stays below `NOTHING` of the one that was asked for;
and an *info* for a schedule that waits for a metric, as it might not have moved.

## Example
>>> from unstuck import Run
>>> def run(steps=600, rate=1e-3, passes=4, **more):
...     facts = {"schedule": "CosineAnnealingLR", "share": 1.0, "by_metric": False,
...              "moves_after": 1, "passes": passes, **more}
...     told = {f"unstepped/adam/{name}": v for name, v in facts.items() if v is not None}
...     return Run.of(lr__adam=[rate] * 9 if isinstance(rate, float) else rate,
...                   facts={"unstepped/adam": steps, **told})
>>> [(f.message, f.severity) for f in unstepped_schedule(run())]
[('CosineAnnealingLR of adam was never stepped in 600 steps and 4 passes: the rate stays 0.001', \
'warning')]
>>> [(f.message, f.severity) for f in unstepped_schedule(run(rate=1e-9, share=1e-6))]
[('CosineAnnealingLR of adam was never stepped in 600 steps and 4 passes: the rate stays 1e-09', \
'error')]
>>> def told(**more):
...     return [f.severity for f in unstepped_schedule(run(passes=None, **more))]
>>> told(validations=6), told(steps=12_000), told(length=600, ended=True)
(['warning'], ['warning'], ['warning'])
>>> told(length=670, ended=True), told(validations=6, by_metric=True, moves_after=None)
(['warning'], ['info'])
>>> told(validations=6, moves_after=80), told(validations=6, moves_after=450)
(['warning'], ['warning'])
>>> [f.severity for f in unstepped_schedule(run(share=0.012))]
['warning']
>>> [f.severity for f in unstepped_schedule(run(share=0.008))]
['error']

## Look-alikes
A schedule that is stepped once an epoch in a run that has not seen many, one that would not have
moved yet or never moves, and a rate that is set in another way:

>>> unstepped_schedule(run(passes=2)) + unstepped_schedule(run(passes=2, steps=12_000))
[]
>>> told(validations=4) + told(steps=9_000) + told(length=720, ended=True) + told(length=600)
[]
>>> unstepped_schedule(run(moves_after=30)) + unstepped_schedule(run(moves_after=0))
[]
>>> told(validations=6, moves_after=50) + told(validations=6, moves_after=None)
[]
>>> unstepped_schedule(run(rate=[1e-3] * 5 + [1e-4] * 5)) + unstepped_schedule(run(steps=0))
[]

## What to try
`step-schedule`

## References
- PyTorch, torch.optim, "How to adjust learning rate",
  <https://docs.pytorch.org/docs/stable/optim.html>
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series, Severity
from unstuck.signals.names import shown
from unstuck.signals.rates import rates

PASSES = 3  # ended: a schedule counted in epochs has been due three times
VALIDATIONS = 5  # mostly one an epoch, at times several
LONG = 10_000  # steps: no epoch of a loop without a DataLoader is known to be as long (ImageNet's
# is 5,005 of 256 samples)
NEAR = 0.15  # of the run: the last incomplete batches and accumulations of a schedule in batches
COUNTED = 0.1  # of the run; a schedule counted in batches moves first after a good part of it
NOTHING = 0.01  # of the rate asked for


class _Unstepped(NamedTuple):
    optimizer: str
    steps: float
    facts: dict[str, object]

    def number(self, name: str) -> float | None:
        value = self.facts.get(name)
        return float(value) if isinstance(value, int | float) else None


@detector(
    "OPT016",
    needs_facts=("unstepped/*",),
    sharpened_by=("lr/*",),
    explains=("GEN002", "OPT002", "OPT004"),
)
def unstepped_schedule(run: Run) -> Iterator[Finding]:
    for found in _unstepped(run):
        rate = _only_rate(run, found.optimizer)
        turns, unit = _turns(found)
        if rate is None or not _overdue(found, turns, unit) or not _would_move(found, turns):
            continue
        seen = f" and {turns:.0f} {unit}" if turns else ""
        steps = Series(f"unstepped/{found.optimizer}", np.array([0]), np.array([found.steps]))
        yield Finding(
            "OPT016",
            where=found.optimizer,
            message=(
                f"{shown(str(found.facts.get('schedule', 'the schedule')), 20)} of "
                f"{shown(found.optimizer, 16)} was never stepped in {found.steps:.0f} steps{seen}: "
                f"the rate stays {rate:.2g}"
            ),
            evidence=(Evidence(steps, ">", 0.0, (0, 0)),),
            severity=_severity(found),
        )


def _unstepped(run: Run) -> Iterator[_Unstepped]:
    known = run.facts_matching("unstepped/*")
    for name, steps in known.items():
        if name.count("/") == 1 and isinstance(steps, int | float) and steps > 0:
            of_it = {n[len(name) + 1 :]: v for n, v in known.items() if n.startswith(f"{name}/")}
            yield _Unstepped(name.split("/", 1)[1], float(steps), dict(of_it))


def _only_rate(run: Run, optimizer: str) -> float | None:
    """The largest rate of its groups, where no group has had another than its first."""
    groups = [s for s in run.matching(f"lr/{optimizer}*") if s.name.split("/")[1] == optimizer]
    if any(np.unique(s.value[np.isfinite(s.value)]).size > 1 for s in groups):
        return None
    one = [rate for rate in rates(run) if rate.name == f"lr/{optimizer}"]
    return float(one[0].value[0]) if one else None


def _turns(found: _Unstepped) -> tuple[float, str]:
    """What a schedule counted in epochs would have been stepped for so far."""
    passes = found.number("passes")
    if passes is not None:
        return passes, "passes"
    return found.number("validations") or 0.0, "validations"


def _overdue(found: _Unstepped, turns: float, unit: str) -> bool:
    if unit == "passes":
        return turns >= PASSES
    length = found.number("length")
    at_end = bool(found.facts.get("ended")) and length is not None
    fits = at_end and length is not None and abs(length - found.steps) < NEAR * found.steps
    return turns >= VALIDATIONS or found.steps >= LONG or fits


def _would_move(found: _Unstepped, turns: float) -> bool:
    if found.facts.get("by_metric"):
        return True
    after = found.number("moves_after")
    if not after:
        return False
    return after <= max(1.0, turns) or COUNTED * found.steps <= after <= found.steps


def _severity(found: _Unstepped) -> Severity:
    share = found.number("share")
    if found.facts.get("by_metric"):
        return "info"
    return "error" if share is not None and share < NOTHING else "warning"
