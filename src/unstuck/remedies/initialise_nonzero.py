"""initialise-nonzero: start layers that follow one another from non-zero weights.

## What it changes
Weights that were set to zero keep the default of their layer. At most the last layer of a residual
branch, or the last layer of all, starts at zero; never two in a row.

## What is expected
All parameter tensors get a gradient from the first or second step on, and the loss begins to fall.

## When it does not help
Where the gradient is missing because the graph is cut (`detach`, `no_grad`, an unused branch).

## Origin
- Zhang, Dauphin & Ma, Fixup Initialization, 2019, <https://arxiv.org/abs/1901.09321>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("GRD005", safety="advice")
def initialise_nonzero(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
