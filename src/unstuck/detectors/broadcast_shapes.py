"""DAT008 broadcast-shapes: predictions (n, 1) meet targets (n,), and every one meets every one.

## Why is this bad?
The difference is (n, n): each prediction is compared with the targets of all samples. The best it
can do is their mean, so a regression learns nothing but that, without an error.

## How it is detected
More than `GROWN` times as many numbers are compared as the larger side has (`broadcast/<function>`
for torch's distances, `broadcast/<loss>` for a difference that is written out), from the first
reading to the last. Shapes of equally many dimensions are broadcast on purpose and do not count,
nor does a prediction that was given another dimension just before.

## Example
>>> from unstuck import Run
>>> def run(*values, shapes="(32, 1) against (32,)"):
...     return Run.of(facts={"broadcast/mse_loss/shapes": shapes},
...                   **{"broadcast__mse_loss": list(values) * 20})
>>> [finding.message for finding in broadcast_shapes(run(32.0))]
['mse_loss compares (32, 1) against (32,): 32 times as many numbers as there are']
>>> [finding.message for finding in broadcast_shapes(run(2.0, shapes="?"))]
['mse_loss compares ?: 2 times as many numbers as there are']

## Look-alikes
Equal shapes, a target that is one number for all, and a last batch of a single sample:

>>> broadcast_shapes(run(1.0)) + broadcast_shapes(run(1.9))
[]
>>> broadcast_shapes(run(32.0, 32.0, 1.0))
[]

## What to try
`use-equal-shapes`

## References
- Harris et al., Array programming with NumPy (the rule of broadcasting), 2020,
  <https://doi.org/10.1038/s41586-020-2649-2>
- Karpathy, A Recipe for Training Neural Networks, 2019,
  <https://karpathy.github.io/2019/04/25/recipe/>
"""

from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run
from unstuck.signals.levels import median
from unstuck.signals.names import shown
from unstuck.signals.spans import finite, last_span_beyond

GROWN = 1.95  # times; a batch of two is the least that is compared with itself


@detector(
    "DAT008", needs=("broadcast/*",), explains=("OPT004", "GEN002", "OPT002", "GRD001", "ACT001")
)
def broadcast_shapes(run: Run) -> Iterator[Finding]:
    for series in run.matching("broadcast/*"):
        known = finite(series)
        span = last_span_beyond(known, ">", GROWN)
        if not span or span[0] != known.step[0]:
            continue
        where = series.name.split("/", 1)[1]
        shapes = str(run.facts.get(f"broadcast/{where}/shapes", "unlike shapes"))
        yield Finding(
            "DAT008",
            where=where,
            message=(
                f"{shown(where, 24)} compares {shown(shapes, 44)}: "
                f"{median(series):.0f} times as many numbers as there are"
            ),
            evidence=(Evidence(series, ">", GROWN, span),),
            severity="error",
        )
