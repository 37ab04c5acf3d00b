"""OPT013 saturated-clipping: nearly every gradient is clipped, so that every step is as short.

## Why is this bad?
A limit that is meant for rare outbursts then sets the length of all steps: the learning rate is in
truth a fraction of what it says, and large and small gradients count the same.

## How it is detected
In the second half of `grad_norm/<optimizer>` (six readings or more there), at least the share
`NEARLY` is clipped. Norms taken before clipping are clipped where they are above the limit found in
the settings (`max_grad_norm`, `gradient_clip_val`, `clip` and the like); norms taken after it
where they sit within `SAME` of the highest one, for no other thing gives all batches one norm.

Many runs live well with it, above all under optimizers that divide the scale out again, so this is
an *info*. It is a *warning* where the optimizer is known to take steps in proportion (SGD) and the
run is slow: the loss still falls surely over its second half, but by less than `SLOW` of its start,
with more than `LEFT` of the start left.

## Example
>>> from unstuck import Run
>>> def run(clipped=1.0, spread=0.0, end=1.9, half=2.1, optimizer="SGD", **recipe):
...     norms = [1.0] * 50 + [1 - spread * (t % 5) if t < 50 * clipped else 0.5 for t in range(50)]
...     loss = [2.3 + (half - 2.3) * t / 100 for t in range(100)]
...     loss += [half + (end - half) * t / 100 for t in range(101)]
...     return Run.of(loss__train=loss, grad_norm__sgd=norms, recipe=recipe,
...                   facts={"optimizer/sgd": optimizer})
>>> [(f.message, f.severity) for f in saturated_clipping(run())]
[('gradients of sgd are clipped to 1 in 100% of the readings since step 0', 'warning')]
>>> [f.severity for f in saturated_clipping(run(max_grad_norm=0.4))]
['warning']
>>> def said(*runs):
...     return [finding.severity for run in runs for finding in saturated_clipping(run)]
>>> said(run(0.98), run(spread=0.002), run(end=1.6, half=1.87))
['warning', 'warning', 'warning']

An optimizer that divides the scale out, a loss that falls fast, and one that has fallen:

>>> said(run(optimizer="AdamW"), run(end=1.7), run(end=1.0, half=1.1))
['info', 'info', 'info']

## Look-alikes
Clipping that acts often, norms that are only alike, and norms below the limit:

>>> saturated_clipping(run(0.9)) + saturated_clipping(run(spread=0.003))
[]
>>> saturated_clipping(run(spread=0.1, max_grad_norm=1.5))
[]

## What to try
`raise-clip-limit`

## References
- Pascanu, Mikolov & Bengio, On the Difficulty of Training Recurrent Neural Networks, 2013,
  <https://arxiv.org/abs/1211.5063>
- Zhang et al., Why Gradient Clipping Accelerates Training, 2020,
  <https://arxiv.org/abs/1905.11881>
"""

import re
from collections.abc import Iterator

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series
from unstuck.signals.games import lone_losses
from unstuck.signals.levels import end_level, start_level
from unstuck.signals.names import shown
from unstuck.signals.spans import between, finite, from_step, length
from unstuck.signals.trends import trend

NEARLY = 0.95  # share of the readings; healthy SGD under a tight limit 0.93, sick 1.0 (LOG.md)
SAME = 0.01  # relative; norms that were scaled to a limit differ by rounding only
SLOW = 0.15  # of the start; slowed by clipping 0.036 to 0.118 (LOG.md)
LEFT = (
    0.6  # of the start; slowed by clipping 0.75 up, a tight limit that does no harm 0.01 (LOG.md)
)
LIMIT = re.compile(r"^(?!.*(range|eps|algo|text|ratio)).*(clip|max_grad_norm|max_norm)")


@detector(
    "OPT013",
    needs=("grad_norm/*",),
    sharpened_by=("optim*",),
    explains=("GEN002", "OPT002", "OPT004"),
)
def saturated_clipping(run: Run) -> Iterator[Finding]:
    for series in run.matching("grad_norm/*"):
        norms = finite(series)
        half = _second_half(norms)
        if series.name.count("/") > 1 or len(half) < 6:
            continue
        limit, floor = _limit(run, half)
        if not (limit > 0 and np.mean(half.value > floor) >= NEARLY):
            continue
        late = _clipped_part(norms, floor)
        clipped = late.value > floor
        optimizer, first, last = series.name.split("/", 1)[1], late.step[0], late.step[-1]
        inside = Series(f"{series.name} (clipped)", late.step[clipped], late.value[clipped])
        yield Finding(
            "OPT013",
            where=optimizer,
            message=(
                f"gradients of {shown(optimizer)} are clipped to {limit:.3g} in "
                f"{clipped.mean():.0%} of the readings since step {first}"
            ),
            evidence=(Evidence(inside, ">", floor, (int(first), int(last))),),
            severity="warning" if _in_proportion(run, optimizer) and _slow(run) else "info",
        )


def _second_half(series: Series) -> Series:
    if len(series) < 2:
        return series
    return from_step(series, int(series.step[0]) + (length(series) + 1) // 2)


def _clipped_part(norms: Series, floor: float) -> Series:
    """The longest part up to the end in which nearly all readings are clipped, if there is one."""
    counts = np.arange(1, len(norms) + 1)
    share = (np.cumsum((norms.value > floor)[::-1]) / counts)[::-1]
    enough = np.flatnonzero(share >= NEARLY)
    return between(norms, int(norms.step[enough[0]]) if enough.size else norms.step[-1] + 1, None)


def _limit(run: Run, norms: Series) -> tuple[float, float]:
    """The limit of clipping, and the value above which a norm counts as clipped."""
    asked = [
        float(value)
        for key, value in run.recipe.items()
        if LIMIT.search(key.lower()) and isinstance(value, int | float) and value > 0
    ]
    for limit in asked:
        if np.median(norms.value) > (1 + SAME) * limit:
            return limit, limit
    top = float(norms.value.max())
    return top, (1 - SAME) * top


def _in_proportion(run: Run, optimizer: str) -> bool:
    """Whether the optimizer's steps are known to be in proportion to the gradient."""
    known = [str(run.facts.get(f"optimizer/{optimizer}", ""))]
    known += [str(value) for key, value in run.recipe.items() if "optim" in key.lower()]
    return any("sgd" in name.lower() for name in known)


def _slow(run: Run) -> bool:
    """Whether a loss still falls over its second half, but little, with much of it left."""
    for series in lone_losses(run):
        start, course = start_level(series), trend(_second_half(series))
        if course and course.falls and end_level(series) > LEFT * start:
            return -course.change < SLOW * start
    return False
