"""NRM002 forgotten-mode: trained in evaluation mode, or judged in training mode.

## Why is this bad?
In evaluation mode nothing is dropped and nothing is normalised by its own batch: a network that is
trained so overfits sooner, and its running statistics describe weights it no longer has. Judged in
training mode it is judged on what happens to be dropped and on who shares the batch, and the
running statistics learn from the validation data.

## How it is detected
Only models with dropout or running statistics are looked at. Three ways to forget:

- `mode/<model>/evaluation` is 1 for the last `FOR_STEPS` steps at least, and was 0 before: nobody
  switched back after a look at validation data. Where it is 1 from the first step on it is an
  *info*, as some models are adapted so on purpose, unless some batch normalisation does not fit its
  batches: `normalisation/<model>.<layer>/gap` above `GAP` in the second half of the run.
- `mode/validation/training` is 1 at every reading, over `FOR_STEPS` steps or more.
- `mode/<model>/frozen` is above 0 to the end, with such a gap: a momentum of 0 keeps the running
  statistics where they began.

## Example
>>> from unstuck import Run
>>> def run(evaluation=0, gap=0.1, frozen=0.0, steps=100, **more):
...     modes = [0] * 20 + [evaluation] * (steps - 20)
...     return Run.of(**{"mode/net/evaluation": modes, "mode/net/frozen": [frozen] * steps,
...                      "normalisation/net.norm/gap": [gap] * steps, **more})
>>> [(f.message, f.severity) for f in forgotten_mode(run(evaluation=1))]
[('net has trained in evaluation mode since step 20, in training mode before', 'warning')]
>>> [f.message for f in forgotten_mode(run(frozen=1.0, gap=0.65))]
['100% of the batch normalisations of net never move (momentum 0): 0.65 deviations off at net.norm']
>>> [f.message for f in forgotten_mode(run(**{"mode/validation/training": [1.0] * 70}))]
['all 70 looks without gradients found a model in training mode']
>>> [(f.message, f.severity) for f in forgotten_mode(Run.of(**{
...     "mode/net/evaluation": [1] * 90, "normalisation/net.norm/gap": [0.65] * 90}))]
[('net trains in evaluation mode from step 0 on, 0.65 deviations off at net.norm', 'warning')]

## Look-alikes
A model that is adapted with the statistics it came with, as many are on purpose:

>>> kept = Run.of(**{"mode/net/evaluation": [1] * 90, "normalisation/net.norm/gap": [0.4] * 90})
>>> [f.severity for f in forgotten_mode(kept)]
['info']

A stretch in evaluation mode that ended, or has just begun, a network judged in both modes on
purpose (averages over dropout), a few looks, and running statistics that fit without moving:

>>> both = {"mode/validation/training": [1.0, 1.0, 0.0] * 30}
>>> forgotten_mode(run(**both)) + forgotten_mode(run(**{"mode/validation/training": [1.0] * 50}))
[]
>>> forgotten_mode(Run.of(**{"mode/net/evaluation": [0] * 20 + [1] * 70 + [0] * 10}))
[]
>>> forgotten_mode(run(evaluation=1, steps=65)) + forgotten_mode(run(frozen=1.0, gap=0.4))
[]

## What to try
`use-both-modes`

## References
- Ioffe & Szegedy, Batch Normalization, 2015, algorithm 2, <https://arxiv.org/abs/1502.03167>
- PyTorch, `torch.nn.Module.eval`, <https://pytorch.org/docs/stable/generated/torch.nn.Module.html>
"""

from collections.abc import Iterator

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series
from unstuck.signals.batches import widest_gap
from unstuck.signals.names import shown, where_of
from unstuck.signals.spans import finite, last_span_beyond, length

GAP = 0.5  # deviations; statistics that fit up to 0.23, forgotten ones 0.75 up (LOG.md)
FOR_STEPS = 60  # three looks at the layers: a stage in evaluation mode may end


@detector("NRM002", needs=("mode/*",), explains=("GEN001", "GEN003"))
def forgotten_mode(run: Run) -> Iterator[Finding]:
    for series in run.matching("mode/*/evaluation"):
        yield from _in_evaluation(run, series)
    for series in run.matching("mode/*/frozen"):
        yield from _frozen(run, series)
    for series in run.matching("mode/validation/training"):
        looks = finite(series)
        if length(looks) >= FOR_STEPS and bool(np.all(looks.value > 0.5)):
            span = int(looks.step[0]), int(looks.step[-1])
            yield Finding(
                "NRM002",
                where="validation",
                message=(
                    f"all {len(looks)} looks without gradients found a model in training mode"
                ),
                evidence=(Evidence(looks, ">", 0.5, span),),
            )


def _in_evaluation(run: Run, series: Series) -> Iterator[Finding]:
    span = last_span_beyond(series, ">", 0.5, at_least=FOR_STEPS)
    if span is None:
        return
    model = where_of(series.name)
    evidence = (Evidence(series, ">", 0.5, span),)
    name = shown(model, 24)
    if span[0] > series.step[0]:
        told = (
            f"{name} has trained in evaluation mode since step {span[0]}, in training mode before"
        )
        yield Finding("NRM002", model, told, evidence)
        return
    told = f"{name} trains in evaluation mode from step {span[0]} on"
    gap = widest_gap(run, model)
    if gap is not None and gap.value[-1] > GAP:
        yield Finding("NRM002", model, f"{told}, {_off(gap)}", (*evidence, _beyond(gap)), "warning")
    else:
        yield Finding("NRM002", model, told, evidence, "info")


def _frozen(run: Run, series: Series) -> Iterator[Finding]:
    span, model = last_span_beyond(series, ">", 0.0, at_least=FOR_STEPS), where_of(series.name)
    gap = widest_gap(run, model)
    if span is not None and gap is not None and gap.value[-1] > GAP:
        yield Finding(
            "NRM002",
            where=model,
            message=(
                f"{series.value[-1]:.0%} of the batch normalisations of {shown(model, 16)} never "
                f"move (momentum 0): {_off(gap)}"
            ),
            evidence=(Evidence(series, ">", 0.0, span), _beyond(gap)),
        )


def _off(gap: Series) -> str:
    return f"{gap.value[-1]:.2g} deviations off at {shown(where_of(gap.name), 18)}"


def _beyond(gap: Series) -> Evidence:
    last = int(gap.step[-1])
    return Evidence(gap, ">", GAP, (last, last))
