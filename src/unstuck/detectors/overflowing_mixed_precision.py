"""NUM002 overflowing-mixed-precision: the loss scale is halved until nothing of it is left.

## Why is this bad?
Every halving is a step that was thrown away. A scale of one multiplies nothing any more: gradients
that still overflow are infinite in themselves, and the weights stay where they are.

## How it is detected
The last readings of `loss_scale/<scaler>`, two or more, are below `GONE`, and it was at least
`FELL` times as high as the last one before. A scaler that begins too high halves its scale a few
times in a row and raises it again every 2,000 good steps; a scale that is constant is none.

## Example
>>> from unstuck import Run
>>> def run(end, start=65536.0, readings=12):
...     down = [start]
...     while down[-1] / 2 >= end:
...         down.append(down[-1] / 2)
...     return Run.of(loss__train=[2.3] * (len(down) + readings),
...                   loss_scale__scaler=down + [end] * readings)
>>> [finding.message for finding in overflowing_mixed_precision(run(0.25))]
['the scale of scaler fell from 65536 to 0.25 and has been below 2 since step 16']
>>> len(overflowing_mixed_precision(run(1.5))), len(overflowing_mixed_precision(run(1.0, 80.0)))
(1, 1)

## Look-alikes
A scale that settles, one that is low only, one that was never high (precision without a scaler),
and one that has only just fallen:

>>> overflowing_mixed_precision(run(1024.0)) + overflowing_mixed_precision(run(2.5))
[]
>>> overflowing_mixed_precision(run(1.0, 48.0)) + overflowing_mixed_precision(run(1.0, 1.0))
[]
>>> overflowing_mixed_precision(run(1.0, readings=0))
[]

## What to try
`compute-loss-in-float32`, `use-bfloat16`

## References
- Micikevicius et al., Mixed Precision Training, 2018, <https://arxiv.org/abs/1710.03740>
"""

from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run
from unstuck.signals.names import shown, where_of
from unstuck.signals.spans import finite, last_span_beyond

GONE = 2.0  # a scale of 1 multiplies nothing; healthy runs settled at 131072 and above (LOG.md)
FELL = 64.0  # times, six steps thrown away; scalers of constant scale have none


@detector(
    "NUM002", needs=("loss_scale/*",), explains=("NUM001", "GRD005", "OPT004", "OPT003", "OPT005")
)
def overflowing_mixed_precision(run: Run) -> Iterator[Finding]:
    for series in run.matching("loss_scale/*"):
        clean = finite(series)
        span = last_span_beyond(clean, "<", GONE)
        if span is None:
            continue
        highest, last = float(clean.value.max()), float(clean.value[-1])
        if not highest >= FELL * max(last, 0.0):
            continue
        yield Finding(
            "NUM002",
            where=where_of(series.name),
            message=(
                f"the scale of {shown(where_of(series.name), 32)} fell from {highest:.6g} "
                f"to {last:.2g} and has been below {GONE:g} since step {span[0]}"
            ),
            evidence=(Evidence(clean, "<", GONE, span),),
            severity="error",
        )
