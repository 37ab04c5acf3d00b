"""OPT012 unscaled-accumulation: micro-batches are summed where the learning rate expects a mean.

## Why is this bad?
The gradient is as many times too large as there are backward passes in a step. Plain gradient
descent then takes steps that much too long. Adam divides by the gradient's own size and hardly
minds, except where it is clipped.

## How it is detected
`accumulated_passes/<optimizer>` counts the passes of one loss in a step, `mean_weight/<loss>` what
a mean over the batch weighs in each, `rescaled_gradient/<optimizer>` what was divided out of the
gradients before the step. Their product is above `SUMMED` for an optimizer without a scale of its
own (SGD), and the loss shows steps that are too long: it rose above `ROSE` times its first value
and ended above `LEFT` times that. A sum at a rate that suits it is silent.

The probe `accumulation-equality` settles it in one step, where it is handed the training's own
accumulation: all micro-batches are in the step, each as if it were alone, and the optimizer's step
is nearer to that many times the batch's than to the batch's own. An *error*; an *info* where the
loss falls below `LEFT` of its first value all the same.

## Example
>>> from unstuck import Run
>>> def summed(passes, loss, weight=1.0, kind="SGD"):
...     return Run.of(accumulated_passes__opt=[passes] * 20, mean_weight__loss=[weight] * 20,
...                   loss__loss=loss, facts={"optimizer/opt": kind})
>>> thrown = [2.3, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0] + [2.4] * 20
>>> [finding.message for finding in unscaled_accumulation(summed(8, thrown))]
['a step of opt sums 8 backward passes of weight 1: loss/loss rose from 2.3 to 9, ends at 2.4']
>>> len(unscaled_accumulation(summed(4, [2.0] + [4.0] * 10 + [2.0] * 20)))
1


The probe's facts, alone and beside a loss that falls:

>>> from unstuck import diagnose
>>> def probed(step, cause="unscaled", **more):
...     facts = {"told": True, "cause": cause, "parts": 4, "ratio": 4.0, "step_ratio": step}
...     facts = {f"accumulation/model/{name}": v for name, v in facts.items()}
...     found = diagnose(Run.of(facts=facts, **more)).findings
...     return [(f.message, f.severity) for f in found if f.code == "OPT012"]
>>> probed(4.0)
[('a step of model adds up 4 micro-batches and is 4 times that of one batch: divide by 4', 'error')]
>>> falls = {"loss__loss": [2.3, 2.0, 1.5, 1.2] + [0.5] * 20}
>>> [severity for _, severity in probed(4.0, **falls)]
['info']

## Look-alikes
Micro-batches that are averaged, sums that learn, an optimizer that scales its own steps, two tasks
with a pass each, and a loss that rises but comes down:

>>> unscaled_accumulation(summed(8, thrown, weight=1 / 8))
[]
>>> unscaled_accumulation(summed(8, [2.3, 2.0, 1.5, 1.2] + [0.5] * 20))
[]
>>> unscaled_accumulation(summed(8, thrown, kind="AdamW"))
[]
>>> unscaled_accumulation(summed(2.5, thrown))
[]
>>> unscaled_accumulation(summed(8, [2.0] + [9.0] * 6 + [1.2] * 20))
[]
>>> unscaled_accumulation(summed(8, [2.0] + [2.6] * 6 + [2.0] * 20))
[]

A sum under an optimizer that scales its own steps, and a mean, as the probe saw them:

>>> probed(1.2) + probed(1.0, "none")
[]

## What to try
`rescale-micro-batches`, `lower-learning-rate`

## References
- Goyal et al., Accurate, Large Minibatch SGD, 2017, section 3 and "subtleties",
  <https://arxiv.org/abs/1706.02677>
"""

from collections.abc import Iterator

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series
from unstuck.signals.accumulations import accumulations
from unstuck.signals.levels import end_level, last_median, median
from unstuck.signals.names import shown
from unstuck.signals.spans import finite

SUMMED = 3.0  # times the gradient of a mean; two or three losses with a pass each are common
ROSE = 1.5  # times its first value; sums of 8 or 16 passes rose 1.9 to 13 times (LOG.md)
LEFT = 0.7  # of its first value at the end; sums that learned left 0.06 or less (LOG.md)
PLAIN = ("SGD", "ASGD")


@detector(
    "OPT012",
    needs=("accumulated_passes/*", "mean_weight/*", "loss/*"),
    or_facts=("accumulation/*/told",),
    explains=("ACT001", "GEN002", "LOS002", "NUM001", "OPT001", "OPT003", "OPT004", "OPT005"),
)
def unscaled_accumulation(run: Run) -> Iterator[Finding]:
    probed = list(_probed(run))
    yield from probed
    if not any(finding.severity == "error" for finding in probed):
        yield from _watched(run)


def _probed(run: Run) -> Iterator[Finding]:
    for found in accumulations(run):
        fact = "ratio" if np.isnan(found.number("step_ratio")) else "step_ratio"
        times, parts = found.number(fact), found.number("parts")
        midway = (1 + parts) / 2
        if found.cause == "unscaled" and times > midway:
            yield Finding(
                "OPT012",
                where=found.model,
                message=(
                    f"a step of {shown(found.model, 24)} adds up {parts:.0f} micro-batches and is "
                    f"{times:.3g} times that of one batch: divide by {parts:.0f}"
                ),
                evidence=(found.evidence(fact, ">", midway),),
                severity="info" if _learned(run) else "error",
            )


def _learned(run: Run) -> bool:
    """Whether some loss ended well below its first value and none was thrown off."""
    losses = [s for s in run.matching("loss/*") if len(finite(s)) > 2 and s.value[0] > 0]
    ended = [end_level(s) <= LEFT * float(s.value[0]) for s in losses]
    return any(ended) and not any(_thrown(s) for s in losses)


def _watched(run: Run) -> Iterator[Finding]:
    weights = [median(s) for s in run.matching("mean_weight/*")]
    weight = min((w for w in weights if w > 0), default=0.0)
    loss = next((s for s in run.matching("loss/*") if _thrown(s)), None)
    for passes in run.matching("accumulated_passes/*"):
        optimizer = passes.name.split("/", 1)[1]
        count = _largest(passes)
        rescaled = run.series.get(f"rescaled_gradient/{optimizer}")
        factor = weight * (min(median(rescaled), 1.0) if rescaled else 1.0)
        plain = run.facts.get(f"optimizer/{optimizer}") in PLAIN
        if loss is None or count is None or not plain:
            continue
        summed = np.array([float(count.value[0]) * factor])
        if not summed[0] > SUMMED:
            continue
        first, last = float(loss.value[0]), int(loss.step[-1])
        at = int(count.step[0])
        total = Series(f"{passes.name} times their weight", count.step, summed)
        yield Finding(
            "OPT012",
            where=optimizer,
            message=(
                f"a step of {shown(optimizer, 14)} sums {count.value[0]:.0f} backward passes of "
                f"weight {factor:.2g}: {shown(loss.name, 16)} rose from {first:.2g} to "
                f"{_peak(loss)[1]:.2g}, ends at {end_level(loss):.2g}"
            ),
            evidence=(
                Evidence(total, ">", SUMMED, (at, at)),
                Evidence(loss, ">", ROSE * first, (_peak(loss)[0],) * 2),
                Evidence(last_median(loss), ">", LEFT * first, (last, last)),
            ),
            severity="error",
        )


def _largest(passes: Series) -> Series | None:
    """The largest count at the start, before a network that is thrown away stops having gradients.

    None for a single reading.
    """
    clean = finite(passes)
    if len(clean) < 2:
        return None
    at = int(np.argmax(clean.value))
    return Series(passes.name, clean.step[at : at + 1], clean.value[at : at + 1])


def _peak(loss: Series) -> tuple[int, float]:
    """Step and value of the third largest finite reading: one bad batch is no peak."""
    clean = finite(loss)
    third = int(np.argsort(clean.value)[-3])
    return int(clean.step[third]), float(clean.value[third])


def _thrown(loss: Series) -> bool:
    """Whether a loss rose early and ended no better."""
    if len(finite(loss)) < 3 or not 0 < loss.value[0] < np.inf:
        return False
    first = float(loss.value[0])
    return _peak(loss)[1] > ROSE * first and end_level(loss) > LEFT * first
