"""CTX006 unstable-rollout: what a rollout builds is lost when it goes on beyond its trained steps.

## Why is this bad?
Training judged one moment. Nothing asked the rule to stay there, so it goes on growing, fades or
explodes, and a larger canvas, which takes more steps, shows what comes after that moment.

## How it is detected
The script says that what is built is meant to last (fact `meant/<model>/lasting`), the rollout
removes more than `BUILT` of the error (`persistence/<model>/built` or the probe's
`fragility/<model>/built`), and at four times its steps the error is more than `LOST` times as
large (`persistence/<model>/x4`, of the probe `seed-and-damage` or told by the script).

## Example
>>> from unstuck import Run
>>> def run(built=0.9, x4=6.0, lasting=True):
...     facts = {"fragility/rule/built": built, "persistence/rule/x4": x4}
...     return Run.of(facts={**facts, "meant/rule/lasting": lasting})
>>> [finding.message for finding in unstable_rollout(run())]
['at 4 times the steps of training the error of rule is 6 times as large']

## Look-alikes
A rule that loses a little, one that has built nothing yet, and one that is only asked for what it
shows at the end of its steps:

>>> unstable_rollout(run(x4=2.4)) + unstable_rollout(run(built=0.4))
[]
>>> unstable_rollout(run(lasting=False))
[]
>>> len(unstable_rollout(run(x4=3.2)) + unstable_rollout(run(built=0.6)))
2

## What to try
`use-sample-pool`

## References
- Mordvintsev et al., Growing Neural Cellular Automata (what persists, exploding), 2020,
  <https://distill.pub/2020/growing-ca>
"""

import math
from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run
from unstuck.signals.known import known
from unstuck.signals.names import shown

# Both: automata that grow pictures and flows with and without a pool, LOG.md.
BUILT = 0.5  # of the error
LOST = 3.0  # times the error; rules with a pool had at most 1.3, without one 10 and more


@detector("CTX006", needs_facts=("persistence/*/x4", "meant/*/lasting"))
def unstable_rollout(run: Run) -> Iterator[Finding]:
    for fact in run.facts_matching("persistence/*/x4"):
        model = fact.split("/")[1]
        names = [f"{of}/{model}/built" for of in ("persistence", "fragility")]
        told = next((name for name in names if name in run.facts), "")
        if not run.facts.get(f"meant/{model}/lasting") or not told:
            continue
        if not (known(run, told, math.nan) > BUILT and known(run, fact, math.nan) > LOST):
            continue
        yield Finding(
            "CTX006",
            where=model,
            message=(
                f"at 4 times the steps of training the error of {shown(model, 24)} is "
                f"{known(run, fact, math.nan):.3g} times as large"
            ),
            evidence=(
                Evidence.of_fact(run, told, ">", BUILT),
                Evidence.of_fact(run, fact, ">", LOST),
            ),
        )
