"""GRD003 inert-branch: what a branch adds to a sum is next to nothing, from the start to the end.

## Why is this bad?
The network works as if the branch were not there: its parameters, its cost and the idea behind it
are wasted. Weights that start tiny in several layers in a row are the usual reason: what comes out
is their product, and so is the gradient that comes back.

## How it is detected
`contribution/<model>.<layer>` is the spread of what a branch adds over that of the sum, for
residual branches and for branches side by side. It is below `INERT` at every reading, over at least
`FOR_STEPS` steps, and has not grown `GROWING` times. One finding a model, for the least of them.

## Example
>>> from unstuck import Run
>>> def adds(*shares):
...     return Run.of(**{"contribution/net.graph": [s for s in shares for _ in range(45)]})
>>> [finding.message for finding in inert_branch(adds(2e-5, 3e-5, 2e-5, 2e-5))]
['what net.graph adds to a sum has 2e-05 of its spread, since step 0']
>>> [len(inert_branch(run)) for run in (adds(8e-4, 8e-4, 8e-4), adds(2e-4, 3e-4, 3e-4, 3e-4))]
[1, 1]

## Look-alikes
A branch that is small but counts, one that starts at nothing and grows (zero-initialised residual
branches, a learned scale), even while it is still small, and one that was looked at too shortly:

>>> inert_branch(adds(1.2e-3, 1.2e-3, 1.2e-3, 1.2e-3))
[]
>>> inert_branch(adds(1e-5, 1e-3, 0.05, 0.3))
[]
>>> inert_branch(adds(2e-4, 4e-4, 5e-4, 5e-4))
[]
>>> inert_branch(adds(2e-5, 2e-5))
[]

## What to try
`rescale-initialisation`, `raise-learning-rate`

## References
- Zhang et al., Fixup Initialization, 2019, <https://arxiv.org/abs/1901.09321>
- Bachlechner et al., ReZero is All You Need (branches that start at zero and grow), 2020,
  <https://arxiv.org/abs/2003.04887>
"""

from collections.abc import Iterator

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series
from unstuck.signals.levels import FIRST, median
from unstuck.signals.names import shown
from unstuck.signals.spans import length

INERT = 1e-3  # of the sum's spread; branches at work had 0.05 and more, inert ones 3e-5 (LOG.md)
FOR_STEPS = 120  # three looks after the first two; branches from zero take some tens (LOG.md)
GROWING = 2.0  # times; branches from zero grew tenfold by step 48, inert ones shrank (LOG.md)


@detector("GRD003", needs=("contribution/*",), explains=("INI002",))
def inert_branch(run: Run) -> Iterator[Finding]:
    models: dict[str, list[Series]] = {}
    for added in run.matching("contribution/*"):
        if _inert(added):
            models.setdefault(added.name.split("/", 1)[1].split(".", 1)[0], []).append(added)
    for branches in models.values():
        least = min(branches, key=median)
        name = least.name.split("/", 1)[1]
        others = f", and {len(branches) - 1} more branches likewise" if len(branches) > 1 else ""
        span = (int(least.step[0]), int(least.step[-1]))
        yield Finding(
            "GRD003",
            where=name,
            message=(
                f"what {shown(name, 30)} adds to a sum has {median(least):.1g} of its "
                f"spread{others}, since step {span[0]}"
            ),
            evidence=(Evidence(least, "<", INERT, span),),
        )


def _inert(added: Series) -> bool:
    if length(added) < FOR_STEPS or not np.all(added.value < INERT):
        return False
    return bool(np.median(added.value[-FIRST:]) <= GROWING * added.value[0])
