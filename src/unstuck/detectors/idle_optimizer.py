"""OPT015 idle-optimizer: backward passes reach an optimizer's parameters and it never steps.

## Why is this bad?
Its network stays as it was initialised. A counter of micro-batches that is never hit
(`(i + 1) % 64 == 0` in epochs of 46), or a copied line that steps the other optimizer, leaves no
error and a loss that still moves with the data.

## How it is detected
`idle/<optimizer>` counts the backward passes that left gradients in its parameters and were
followed by another backward pass and no step, for an optimizer that has not stepped once and whose
weights have not been moved by anything else: more than `PASSES`.

The probe `accumulation-equality` settles it in one step, an *error*: with the training's own
accumulation, which steps, parameters stay where they are that the batch's gradient would move.

## Example
>>> from unstuck import Run
>>> idle = Run.of(loss__train=[2.3] * 5, facts={"idle/opt_G": 256})
>>> [finding.message for finding in idle_optimizer(idle)]
['opt_G has made no step, though 256 backward passes reached its parameters']


The probe's facts alone:

>>> from unstuck import diagnose
>>> def probed(frozen, cause="frozen"):
...     facts = {"told": True, "cause": cause, "frozen": frozen}
...     run = Run.of(facts={f"accumulation/netG/{name}": v for name, v in facts.items()})
...     return [f.message for f in diagnose(run).findings]
>>> probed(0.5)
['50% of the parameters of netG stay where they are in a step of its own accumulation']

## Look-alikes
One large step is still being put together; an optimizer that waits for its stage of the training,
or whose steps are written out by hand, counts nothing:

>>> idle_optimizer(Run.of(facts={"idle/adam": 150}))
[]
>>> idle_optimizer(Run.of(facts={"idle/adam": 0})) + probed(0.0, "none")
[]

## What to try
`update-every-network`

## References
- PyTorch, torch.optim, "Taking an optimization step",
  <https://docs.pytorch.org/docs/stable/optim.html>
"""

from collections.abc import Iterator

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series
from unstuck.signals.accumulations import accumulations
from unstuck.signals.names import shown

PASSES = 200  # more micro-batches than are put into one step, but for the largest models (LOG.md)


@detector(
    "OPT015",
    needs_facts=("idle/*",),
    or_facts=("accumulation/*/told",),
    explains=(
        "ADV001",
        "COL004",
        "GEN002",
        "LOS002",
        "OPT002",
        "OPT003",
        "OPT004",
        "OPT010",
    ),
)
def idle_optimizer(run: Run) -> Iterator[Finding]:
    yield from list(_probed(run)) or _watched(run)


def _probed(run: Run) -> Iterator[Finding]:
    for found in accumulations(run):
        frozen = found.number("frozen")
        if found.cause == "frozen" and frozen > 0:
            yield Finding(
                "OPT015",
                where=found.model,
                message=(
                    f"{frozen:.0%} of the parameters of {shown(found.model, 30)} stay where they "
                    "are in a step of its own accumulation"
                ),
                evidence=(found.evidence("frozen", ">", 0.0),),
                severity="error",
            )


def _watched(run: Run) -> Iterator[Finding]:
    for name, passes in run.facts_matching("idle/*").items():
        if not isinstance(passes, int | float) or not passes > PASSES:
            continue
        optimizer = name.split("/", 1)[1]
        count = Series(name, np.array([0]), np.array([float(passes)]))  # idle since the beginning
        yield Finding(
            "OPT015",
            where=optimizer,
            message=(
                f"{shown(optimizer, 30)} has made no step, though {passes:.0f} backward passes "
                "reached its parameters"
            ),
            evidence=(Evidence(count, ">", PASSES, (0, 0)),),
            severity="error",
        )
