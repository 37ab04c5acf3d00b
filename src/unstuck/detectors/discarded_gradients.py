"""OPT011 discarded-gradients: gradients are computed and cleared before any step has used them.

## Why is this bad?
The pass is paid for and teaches nothing. Accumulation with `zero_grad` inside the loop over
micro-batches keeps only the last one of them, scaled down as if all were there. Cleared between
the backward pass and the step, nothing is left, and the weights never move.

## How it is detected
`discarded_gradient/<optimizer>` is the share of backward passes, of the losses the optimizer
follows, whose gradients were gone before its step. Its median stays above `LOST`: a *warning*, and
an *error* where all of them are lost.

The probe `accumulation-equality` settles it in one step: an *error* where it was handed the
training's own accumulation and finds fewer micro-batches in the step than went into it.

## Example
>>> from unstuck import Run
>>> run = Run.of(discarded_gradient__sgd=[0.75] * 20)
>>> [(finding.message, finding.severity) for finding in discarded_gradients(run)]
[('75% of the backward passes for sgd are cleared away before it steps, since step 0', 'warning')]
>>> [f.severity for f in discarded_gradients(Run.of(discarded_gradient__sgd=[0.5] * 20))]
['warning']
>>> [f.severity for f in discarded_gradients(Run.of(discarded_gradient__sgd=[1.0] * 20))]
['error']

The probe's facts alone:

>>> from unstuck import diagnose
>>> def probed(kept, cause="discarded"):
...     facts = {"told": True, "cause": cause, "kept": kept, "parts": 4}
...     run = Run.of(facts={f"accumulation/model/{name}": v for name, v in facts.items()})
...     return [(f.message, f.severity) for f in diagnose(run).findings]
>>> probed(1)
[('a step of model keeps 1 of 4 micro-batches: the gradients of the others are cleared', 'error')]

## Look-alikes
A game of two networks, where each one's loss fills gradients of the other, and methods that look
ahead or put gradients together by hand, lose nothing. A batch that is skipped now and then, or one
pass in four that only measures, is meant:

>>> discarded_gradients(Run.of(discarded_gradient__sgd=[0.0] * 20))
[]
>>> discarded_gradients(Run.of(discarded_gradient__sgd=[0.0, 0.0, 0.5] * 7))
[]
>>> discarded_gradients(Run.of(discarded_gradient__sgd=[0.25] * 20))
[]

All micro-batches in the step, and a step that comes before the last of them on purpose:

>>> probed(4, "none") + probed(2, "stepped early")
[]

## What to try
`give-each-step-its-own-gradients`

## References
- PyTorch, Automatic Mixed Precision examples, "Gradient accumulation",
  <https://docs.pytorch.org/docs/stable/notes/amp_examples.html#gradient-accumulation>
- Foret et al., Sharpness-Aware Minimization (two passes a step), 2020,
  <https://arxiv.org/abs/2010.01412>
"""

from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run
from unstuck.signals.accumulations import accumulations
from unstuck.signals.levels import median
from unstuck.signals.names import shown
from unstuck.signals.spans import longest_span_beyond

LOST = 0.35  # share of the passes; the mildest form, one of two micro-batches, loses 0.5 (LOG.md)


@detector(
    "OPT011",
    needs=("discarded_gradient/*",),
    or_facts=("accumulation/*/told",),
    explains=(
        "ACT001",
        "COL004",
        "GEN002",
        "GRD001",
        "GRD005",
        "LOS002",
        "OPT002",
        "OPT004",
    ),
)
def discarded_gradients(run: Run) -> Iterator[Finding]:
    yield from list(_probed(run)) or _watched(run)


def _probed(run: Run) -> Iterator[Finding]:
    for found in accumulations(run):
        kept, parts = found.number("kept"), found.number("parts")
        if found.cause == "discarded" and kept < parts:
            yield Finding(
                "OPT011",
                where=found.model,
                message=(
                    f"a step of {shown(found.model, 30)} keeps {kept:.0f} of {parts:.0f} "
                    "micro-batches: the gradients of the others are cleared"
                ),
                evidence=(found.evidence("kept", "<", parts),),
                severity="error",
            )


def _watched(run: Run) -> Iterator[Finding]:
    for discarded in run.matching("discarded_gradient/*"):
        level = median(discarded)
        span = longest_span_beyond(discarded, ">", LOST)
        if level > LOST and span is not None:
            optimizer = discarded.name.split("/", 1)[1]
            yield Finding(
                "OPT011",
                where=optimizer,
                message=(
                    f"{level:.0%} of the backward passes for {shown(optimizer, 30)} are cleared "
                    f"away before it steps, since step {span[0]}"
                ),
                evidence=(Evidence(discarded, ">", LOST, span),),
                severity="error" if level == 1 else "warning",
            )
