"""GRD005 untrained-parameters: parameters an optimizer holds have had no gradient from the start.

## Why is this bad?
They stay what they were initialised to: a network whose layers all start at zero, or a branch that
the loss does not reach, is not trained, whatever the settings.

## How it is detected
`gradient_reach/<optimizer>` stays below 1 from its first reading to its last. Below `MOST` it is a
*warning*, below `HALF` an *error*: a few parameters without a gradient (a head that is not used
yet) are only an *info*. So is a larger share where no layer has a gradient of exactly zero and
the loss falls below `LEARNS` of its start: then the graph ends before these layers, as it does when
a finished network only serves features. Parts that are trained in turns are silent.

## Example
>>> from unstuck import Run
>>> run = Run.of(**{"gradient_reach/adam": [0.4] * 30,
...                 "grad_norm/adam/net.down": [0.0] * 30, "grad_norm/adam/net.out": [0.3] * 30})
>>> [(finding.message, finding.severity) for finding in untrained_parameters(run)]
[('60% of the parameter tensors of adam have had no gradient since step 0,
net.down first', 'error')]
>>> [f.severity for f in untrained_parameters(Run.of(gradient_reach__adam=[0.65] * 30))]
['warning']
>>> [f.severity for f in untrained_parameters(Run.of(gradient_reach__adam=[0.9] * 30))]
['info']

## Look-alikes
A network that serves features to a head that learns:

>>> served = Run.of(gradient_reach__adam=[0.1] * 30, loss__train=[2.3] * 10 + [0.9] * 20)
>>> [f.severity for f in untrained_parameters(served)]
['info']
>>> stuck = Run.of(gradient_reach__adam=[0.1] * 30, loss__train=[2.3] * 10 + [1.4] * 20)
>>> [f.severity for f in untrained_parameters(stuck)]
['error']

Residual branches that start at zero and are reached after the first step, parts of a model that
are trained in turns, units that die later (`dead-units`), and frozen ones, which do not count:

>>> untrained_parameters(Run.of(gradient_reach__adam=[0.3, 0.6] + [1.0] * 28))
[]
>>> untrained_parameters(Run.of(**{"gradient_reach/adam": [0.5] * 30,
...     "grad_norm/adam/net.a": [0.0, 0.0, 0.3] * 10,
...     "grad_norm/adam/net.b": [0.3, 0.3, 0.0] * 10}))
[]
>>> untrained_parameters(Run.of(gradient_reach__adam=[1.0] * 10 + [0.3] * 20))
[]

## What to try
`initialise-nonzero`, `reattach-graph`

## References
- Goodfellow, Bengio, Courville, Deep Learning, 2016, section 8.4, <https://www.deeplearningbook.org>
- Zhang et al., Fixup Initialization (which layers may start at zero), 2019,
  <https://arxiv.org/abs/1901.09321>
"""

from collections.abc import Iterator

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series, Severity
from unstuck.signals.levels import median, share_left
from unstuck.signals.names import shown

MOST = 0.8  # share of tensors; a critic whose last bias cancels had 0.83 (LOG.md)
HALF = 0.5  # share of tensors; networks with parts that start at zero reached 0.13 to 0.39 (LOG.md)
LEARNS = 0.5  # share of the loss left; with dead decoders 0.75 or more was left (LOG.md)


@detector(
    "GRD005",
    needs=("gradient_reach/*",),
    explains=("GRD001", "ACT001", "OPT004", "LOS001", "LOS002", "COL004", "SKP001"),
)
def untrained_parameters(run: Run) -> Iterator[Finding]:
    for reach in run.matching("gradient_reach/*"):
        optimizer = reach.name.split("/", 1)[1]
        layers = [s for n, s in run.series.items() if n.startswith(f"grad_norm/{optimizer}/")]
        if len(reach) < 2 or not np.all(reach.value < 1) or _in_turns(reach, layers):
            continue
        dead = [s for s in layers if not np.any(s.value)]
        first = f", {shown(dead[0].name.rsplit('/', 1)[1], 24)} first" if dead else ""
        yield Finding(
            "GRD005",
            where=optimizer,
            message=(
                f"{1 - median(reach):.0%} of the parameter tensors of {shown(optimizer, 20)} "
                f"have had no gradient since step {reach.step[0]}{first}"
            ),
            evidence=(Evidence(reach, "<", 1.0, (int(reach.step[0]), int(reach.step[-1]))),),
            severity=_severity(run, reach, bool(dead)),
        )


def _in_turns(reach: Series, layers: list[Series]) -> bool:
    """Whether every layer is reached at some step, and some layers not at every step."""
    reached = [int(np.count_nonzero(s.value)) for s in layers]
    return bool(reached) and min(reached) > 0 and min(reached) < len(reach)


def _severity(run: Run, reach: Series, dead_layers: bool) -> Severity:
    level = median(reach)
    if level > MOST:
        return "info"
    if not dead_layers and any(share_left(s) < LEARNS for s in run.matching("loss/*")):
        return "info"
    return "error" if level < HALF else "warning"
