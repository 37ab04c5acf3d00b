"""CTX003 position-blindness: the target depends on the place, and the network cannot know it.

## Why is this bad?
A network of convolutions answers the same wherever it looks. What the place alone decides stays
in its error, whatever the rate, the width and the number of steps.

## How it is detected
Facts of the probe `position`. Away from the border the output moves with its input (a change below
`SAME` of its scatter), while the place explains more than `NEEDED` of the target on samples held
out, beyond what can be seen nearby, and more than `LEFT` of what is otherwise left. Where the
place explains more than `SHOWN` of the input itself, the input may show the place: no claim then.

## Example
>>> from unstuck import Run
>>> def run(needed=0.6, left=0.95, change=0.0, input=0.0):
...     facts = {"needed": needed, "left": left, "change": change, "input": input}
...     return Run.of(facts={f"position/net/{name}": value for name, value in facts.items()})
>>> [finding.message for finding in position_blindness(run())]
['net: the place alone explains 60% of the target, 95% of what is left, and no output can know it']

## Look-alikes
A network that knows the place; a task that hardly needs it; a target that is mostly unexplained
either way; and pictures that show their places, such as a seed or an object in the middle:

>>> position_blindness(run(change=0.012)) + position_blindness(run(needed=0.12))
[]
>>> position_blindness(run(left=0.4)) + position_blindness(run(input=0.14))
[]
>>> found = run(needed=0.2, change=0.008, input=0.08), run(left=0.6)
>>> [len(position_blindness(one)) for one in found]
[1, 1]

## What to try
`add-coordinates`

## References
- Liu et al., An Intriguing Failing of Convolutional Neural Networks and the CoordConv Solution,
  2018, <https://arxiv.org/abs/1807.03247>
- Islam, Jia & Bruce, How Much Position Information Do Convolutional Neural Networks Encode?, 2020,
  <https://arxiv.org/abs/2001.08248>
"""

import math
from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run
from unstuck.signals.known import known
from unstuck.signals.names import shown

# All four: shading and vignettes with and without coordinates, textures, digits, LOG.md.
SAME = 0.01  # of the scatter; blind networks changed by less than 1e-9, others by 0.1 and more
NEEDED = 0.15  # of the target; sick runs had 0.35 to 0.66, tasks without the need up to 0.03
LEFT = 0.5  # of what is left; sick runs had 0.95 and more, targets unlike their inputs 0.38
SHOWN = 0.1  # of the input; digits in the middle had 0.12 to 0.38, textures 0


@detector(
    "CTX003",
    needs_facts=("position/*/change", "position/*/needed", "position/*/left"),
    explains=("OPT004", "GEN002", "CAP002"),
)
def position_blindness(run: Run) -> Iterator[Finding]:
    for fact in run.facts_matching("position/*/needed"):
        model = fact.split("/")[1]
        names = [f"position/{model}/{what}" for what in ("change", "needed", "left", "input")]
        change, needed, left, of_input = (known(run, name, math.nan) for name in names)
        if not (change < SAME and needed > NEEDED and left > LEFT and of_input < SHOWN):
            continue
        yield Finding(
            "CTX003",
            where=model,
            message=(
                f"{shown(model, 24)}: the place alone explains {100 * needed:.0f}% of the target, "
                f"{100 * left:.0f}% of what is left, and no output can know it"
            ),
            evidence=(
                Evidence.of_fact(run, names[0], "<", SAME),
                Evidence.of_fact(run, names[1], ">", NEEDED),
                Evidence.of_fact(run, names[2], ">", LEFT),
                Evidence.of_fact(run, names[3], "<", SHOWN),
            ),
        )
