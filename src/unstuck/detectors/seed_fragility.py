"""CTX005 seed-fragility: what a rollout builds is lost when its first state changes a little.

## Why is this bad?
A rule that works from one exact state has learnt a path, not a goal. Rounding, another seed or
noise in its conditions is enough, and nothing of what was trained comes out.

## How it is detected
Facts of the probe `seed-and-damage`: the rollout removes more than `BUILT` of the error, and after
the worst of some small changes of its first state (noise of 5 %, moved by one or two cells, one
cell more or less) less than `LEFT` of that is still removed.

## Example
>>> from unstuck import Run
>>> def run(built=0.85, worst=-0.4, **changes):
...     facts = {"built": built, "worst": worst, **changes}
...     return Run.of(facts={f"fragility/rule/{name}": value for name, value in facts.items()})
>>> [finding.message for finding in seed_fragility(run(noise=-0.4, chance=0.99))]
['rule removes 85% of the error, and -40% after a small change of its first state (noise)']

## Look-alikes
A rule that loses a part, one that has not learnt to build anything yet, and one whose results
differ as much without any change:

>>> seed_fragility(run(worst=0.55)) + seed_fragility(run(built=0.4))
[]
>>> seed_fragility(run(chance=0.5))
[]
>>> len(seed_fragility(run(worst=0.3, built=0.6)) + seed_fragility(run(chance=0.85)))
2

## What to try
`use-varied-seeds`

## References
- Mordvintsev et al., Growing Neural Cellular Automata, 2020, <https://distill.pub/2020/growing-ca>
"""

import math
from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run
from unstuck.signals.known import known
from unstuck.signals.names import shown

# All three: rules that build discs from seeds and from films of noise, LOG.md.
BUILT = 0.5  # of the error; sick runs had 0.7 and more
LEFT = 0.4  # of what was built; sick runs had -0.01 and less, healthy ones 0.63 and more
CHANCE = 0.7  # of it is left under other random numbers alone; all runs had 0.94 and more
CHANGES = ("noise", "moved", "less", "more")


@detector("CTX005", needs_facts=("fragility/*/built", "fragility/*/worst"))
def seed_fragility(run: Run) -> Iterator[Finding]:
    for fact in run.facts_matching("fragility/*/worst"):
        model = fact.split("/")[1]
        built, worst, chance = (
            known(run, f"fragility/{model}/{what}", math.nan)
            for what in ("built", "worst", "chance")
        )
        if not (built > BUILT and worst < LEFT) or chance < CHANCE:
            continue
        names = [c for c in CHANGES if known(run, f"fragility/{model}/{c}", math.nan) <= worst]
        which = f" ({names[0]})" if names else ""
        yield Finding(
            "CTX005",
            where=model,
            message=(
                f"{shown(model, 24)} removes {100 * built:.0f}% of the error, and "
                f"{100 * worst:.0f}% after a small change of its first state{which}"
            ),
            evidence=(
                Evidence.of_fact(run, f"fragility/{model}/built", ">", BUILT),
                Evidence.of_fact(run, f"fragility/{model}/worst", "<", LEFT),
            ),
        )
