"""SKP002 identity-shortcut: the output is nearly the input, where something else is asked for.

## Why is this bad?
The model copies. Its loss stands at what a copy costs, which may be little, and its pictures look
almost right; nothing of what was asked for has been learned.

## How it is detected
Facts of the probe `echo`. The distance from output to input is below `COPY` of the distance from
answer to input, while the answer differs by more than `ASKED` of its standard deviation. *warning*
once `EARLY` updates have been made, *info* before or where they are not known: a model that begins
as the identity has to begin somewhere.

## Example
>>> from unstuck import Run
>>> def run(identity, asked=0.4, steps=220):
...     facts = {"identity": identity, "asked": asked, "steps": steps}
...     return Run.of(facts={f"echo/model/{name}": value for name, value in facts.items()})
>>> [(f.message, f.severity) for f in identity_shortcut(run(0.08))]
[('model: the output moves 0.08 of the way asked for from the input after 220 updates', 'warning')]
>>> [f.severity for f in identity_shortcut(run(0.08, steps=150))]
['info']

## Look-alikes
A correction that is small but made, an answer that is the input but for what cannot be seen, an
autoencoder, which is asked for the input (its probe gives no `identity`):

>>> identity_shortcut(run(0.13))
[]
>>> identity_shortcut(run(0.0, asked=0.04))
[]
>>> identity_shortcut(run(0.0, asked=0.07))[0].severity
'warning'
>>> identity_shortcut(Run.of(facts={"echo/model/asked": 0.0}))
[]

## What to try
`raise-weight-of-changes`

## References
- Mathieu, Couprie & LeCun, Deep Multi-Scale Video Prediction beyond Mean Square Error, 2016 (the
  last frame as the answer to beat), <https://arxiv.org/abs/1511.05440>
- Batson & Royer, Noise2Self, 2019 (the identity as the trivial answer),
  <https://arxiv.org/abs/1901.11365>
"""

from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Finding, Run
from unstuck.signals.echoes import all_along, echoing, told, updates
from unstuck.signals.names import shown

COPY = 0.1  # our runs: copies up to 0.004, trained models 0.35 and more, LOG.md
ASKED = 0.05  # of the answer's spread; our runs ask for 0.2 and more, LOG.md
EARLY = 200  # updates; ours that begin as the identity have left it after 30, LOG.md


@detector(
    "SKP002",
    needs_facts=("echo/*/asked",),
    explains=("SKP004", "GRD001", "GRD003", "ACT001", "OPT002", "OPT004", "GEN002"),
)
def identity_shortcut(run: Run) -> Iterator[Finding]:
    for model in echoing(run):
        identity, asked = told(run, model, "identity"), told(run, model, "asked")
        if not (identity < COPY and asked > ASKED):
            continue
        steps = updates(run, model)
        yield Finding(
            "SKP002",
            where=model,
            message=(
                f"{shown(model, 24)}: the output moves {identity:.2g} of the way asked for from "
                f"the input after {max(steps, 0)} updates"
            ),
            evidence=(
                all_along(run, f"echo/{model}/identity", "<", COPY),
                all_along(run, f"echo/{model}/asked", ">", ASKED),
            ),
            severity="warning" if steps > EARLY else "info",
        )
