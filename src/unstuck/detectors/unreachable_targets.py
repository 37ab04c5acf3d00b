"""ACT003 unreachable-targets: the last activation cannot give what the targets ask for.

## Why is this bad?
A ReLU gives nothing below zero, a sigmoid nothing beyond 0..1. What lies outside is never learned,
and outputs pressed against the limit saturate or die: their gradient is zero.

## How it is detected
The squared distance of the targets from the range of the activation the prediction came straight
out of, over the squared distance of the targets from their mean (`unreachable/<function>`; for
scores behind a ReLU, of the labels below one half), is above `MUCH` for the whole run (medians over
tenths of it). Above `SOME` it is an *info*: noise puts targets out of reach whose mean is in it.

## Example
>>> from unstuck import Run
>>> def run(*share, made="relu"):
...     return Run.of(facts={"prediction/mse_loss/made_by": made},
...                   **{"unreachable__mse_loss": [share[i * len(share) // 60] for i in range(60)]})
>>> [(f.message, f.severity) for f in unreachable_targets(run(0.5))]
[('targets of mse_loss lie 0.5 of their squared spread beyond the range of its relu', 'warning')]
>>> [f.severity for r in (run(0.28), run(0.2), run(0.15)) for f in unreachable_targets(r)]
['warning', 'info', 'info']

## Look-alikes
Targets within the range, noisy ones around it, and ones that are out of reach for a while only:

>>> unreachable_targets(run(0.0)) + unreachable_targets(run(0.11))
[]
>>> unreachable_targets(run(0.6, 0.6, 0.05, 0.6))
[]

## What to try
`use-unbounded-output`

## References
- Bishop, Pattern Recognition and Machine Learning, section 5.2 (outputs that match their targets),
  2006
- Glorot & Bengio, Understanding the Difficulty of Training Deep Feedforward Neural Networks, 2010,
  <https://proceedings.mlr.press/v9/glorot10a.html>
"""

from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run
from unstuck.signals.levels import median
from unstuck.signals.names import shown
from unstuck.signals.spans import last_span_beyond
from unstuck.signals.windows import FEW, in_windows

MUCH = 0.25  # noise of 0.25 around pixels left 0.11; half of standardised targets 0.5 (LOG.md)
SOME = 0.14  # a tanh for standard normal targets: 0.15


@detector(
    "ACT003",
    needs=("unreachable/*",),
    explains=("OPT004", "GEN002", "OPT002", "ACT001", "GRD001", "GRD005", "ACT002"),
)
def unreachable_targets(run: Run) -> Iterator[Finding]:
    for series in run.matching("unreachable/*"):
        calm = in_windows(series, FEW)
        for limit in (MUCH, SOME):
            span = last_span_beyond(calm, ">", limit)
            if not span or span[0] != calm.step[0] or len(series) < 2:
                continue
            site = series.name.split("/", 1)[1]
            made = str(run.facts.get(f"prediction/{site}/made_by", "last activation"))
            yield Finding(
                "ACT003",
                where=site,
                message=(
                    f"targets of {shown(site, 32)} lie {median(series):.2g} of their squared "
                    f"spread beyond the range of its {shown(made, 16)}"
                ),
                evidence=(Evidence(calm, ">", limit, span),),
                severity="warning" if limit == MUCH else "info",
            )
            break
