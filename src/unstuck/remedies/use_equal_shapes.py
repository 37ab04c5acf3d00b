"""use-equal-shapes: give prediction and target the same shape before the loss.

## What it changes
`targets/elementwise`: targets of an elementwise loss function get the shape of the prediction. In
the script, and where a difference is written out there: `prediction.squeeze(1)` or
`target.unsqueeze(1)`, and an `assert prediction.shape == target.shape` beside it.

## What is expected
The loss falls below the spread of the targets for the first time.

## When it does not help
Where every prediction is meant to meet every target (costs of a matching, ranks).

## Origin
- Harris et al., Array programming with NumPy (the rule of broadcasting), 2020,
  <https://doi.org/10.1038/s41586-020-2649-2>

>>> from unstuck import Finding, Run
>>> run = Run.of(broadcast__mse_loss=[64.0] * 9)
>>> [t.changes for t in use_equal_shapes(run, Finding("DAT008", "mse_loss", "", ()))]
[{'targets/elementwise': 'shaped'}]
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy

FUNCTIONS = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "poisson_nll_loss")


@remedy("DAT008", safety="safe")
def use_equal_shapes(run: Run, finding: Finding) -> Iterator[Treatment]:
    met = run.series.get(f"broadcast/{finding.where}")
    if met is not None and finding.where.split(".")[0] in FUNCTIONS:
        yield Treatment(
            name="targets in the shape of predictions",
            remedy="use-equal-shapes",
            changes={"targets/elementwise": "shaped"},
            expectation="the loss falls below the spread of the targets",
            answers=(finding.code,),
        )
