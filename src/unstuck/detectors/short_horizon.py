"""CTX001 short-horizon: what an automaton is to build lies further than its steps can reach.

## Why is this bad?
News travel one radius a step. Cells beyond steps times radius of any live cell cannot be changed by
any rule, so their error stays whatever is learnt, and the rule is pushed towards what it can reach.

## How it is detected
`horizon/<model>/beyond`, the share of the loss's gradient that falls on cells further than the sum
of the convolutions' radii from every cell that was not zero, and that are exactly as they were,
stays above `MISSING` to the end, for `LASTING` of the run and `FOR_STEPS` steps at least. The facts
`horizon/<model>` and `canvas/<model>` say how far news can travel and how wide the canvas is.

## Example
>>> from unstuck import Run, Series
>>> import numpy as np
>>> def run(beyond, since=0, n=200):
...     steps = np.arange(0, n, 2)
...     value = np.where(steps < since, 0.0, beyond)
...     name = "horizon/model/beyond"
...     return Run({name: Series(name, steps, value)}, facts={"horizon/model": 5,
...                                                            "canvas/model": 20})
>>> [finding.message for finding in short_horizon(run(0.84))]
['84% of the error of model lies beyond its horizon of 5 cells on a canvas of 20, since step 0']

## Look-alikes
A canvas far wider than what is to be built on it, cells that are only not yet reached by what was
learnt, some error at the outermost rim, rollouts that grew longer, and a run that has just begun:

>>> short_horizon(run(0.0)) + short_horizon(run(0.22))
[]
>>> short_horizon(run(0.84, n=90))
[]
>>> back = run(0.84).series["horizon/model/beyond"]
>>> short_horizon(Run({back.name: Series(back.name, back.step, np.linspace(0.9, 0.1, len(back)))}))
[]
>>> short_horizon(run(0.84, since=320, n=440)) + short_horizon(run(0.35, since=240, n=440))
[]
>>> len(short_horizon(run(0.84, since=200, n=440)) + short_horizon(run(0.35, n=130)))
2

## What to try
`raise-horizon`

## References
- Mordvintsev et al., Growing Neural Cellular Automata, 2020, <https://distill.pub/2020/growing-ca>
- Luo et al., Understanding the Effective Receptive Field in Deep Convolutional Neural Networks,
  2016, <https://arxiv.org/abs/1701.04128>
"""

from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run
from unstuck.signals.codes import lasts_above
from unstuck.signals.levels import end_level
from unstuck.signals.names import shown, where_of
from unstuck.signals.spans import between, finite

MISSING = 0.3  # of the gradient; sick runs ended at 0.83 or more, healthy ones at 0.00 (LOG.md)
FOR_STEPS = 100  # from the first step on: no rule can change it
LASTING = 0.5  # share of the run


@detector("CTX001", needs=("horizon/*/beyond",), explains=("OPT004", "GEN002", "OPT002", "CTX004"))
def short_horizon(run: Run) -> Iterator[Finding]:
    for beyond in map(finite, run.matching("horizon/*/beyond")):
        span = lasts_above(beyond, MISSING, FOR_STEPS, LASTING)
        if span is None:
            continue
        name = where_of(beyond.name)
        cells, canvas = (run.facts.get(f"{fact}/{name}", 0) for fact in ("horizon", "canvas"))
        size = f" of {cells} cells on a canvas of {canvas}" if cells and canvas else ""
        level = end_level(between(beyond, *span))
        yield Finding(
            "CTX001",
            where=name,
            message=(
                f"{100 * level:.0f}% of the error of {shown(name, 24)} lies beyond its horizon"
                f"{size}, since step {span[0]}"
            ),
            evidence=(Evidence(beyond, ">", MISSING, span),),
        )
