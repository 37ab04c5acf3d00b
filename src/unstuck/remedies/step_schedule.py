"""step-schedule: step the scheduler that was made for the optimizer.

## What it changes
`schedule/<optimizer>`: half a cosine from the rate the optimizer was made with down to nothing over
the length of the run; where the schedule begins at next to nothing, `warmup/<optimizer>` over a
tenth of the run besides. In the script: `scheduler.step()` after `optimizer.step()`, at every batch
for a schedule counted in batches (`OneCycleLR`, a warm-up in steps), at the end of every epoch for
one counted in epochs (`StepLR(30)`, `T_max=epochs`); `scheduler.step(val_loss)` after the
validation for `ReduceLROnPlateau`.

## What is expected
The learning rate moves, and the loss ends below that of the untreated run.

## When it does not help
Where the first rate is already the best for the whole of a short run.

## Origin
- PyTorch, How to adjust learning rate, <https://docs.pytorch.org/docs/stable/optim.html>
- Loshchilov & Hutter, SGDR, 2017 (the cosine), <https://arxiv.org/abs/1608.03983>

>>> from unstuck import Finding, Run
>>> run = Run.of(lr__adam=[0.001] * 600)
>>> [t.changes for t in step_schedule(run, Finding("OPT016", "adam", "", ()))]
[{'schedule/adam': 'cosine:600'}]
>>> slow = Run.of(lr__adam=[0.0] * 600, facts={"unstepped/adam/share": 0.0})
>>> [t.changes for t in step_schedule(slow, Finding("OPT016", "adam", "", ()))]
[{'schedule/adam': 'cosine:600', 'warmup/adam': 60}]
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Scalar, Treatment
from unstuck.remedy import remedy
from unstuck.signals.inventory import optimizers_of

RISES = 0.1  # of the rate asked for: a schedule that begins below it is a warm-up
PART = 10  # of the run: the usual length of a warm-up in a short one


@remedy("OPT016", safety="changes-training")
def step_schedule(run: Run, finding: Finding) -> Iterator[Treatment]:
    steps = run.last_step + 1
    for name in optimizers_of(run, finding.where)[:1]:
        changes: dict[str, Scalar] = {f"schedule/{name}": f"cosine:{steps}"}
        share = run.facts.get(f"unstepped/{name}/share", 1.0)
        if isinstance(share, int | float) and share < RISES and steps // PART > 1:
            changes[f"warmup/{name}"] = steps // PART
        yield Treatment(
            name=f"schedule of {name} stepped, a cosine over {steps} steps",
            remedy="step-schedule",
            changes=changes,
            expectation="the learning rate moves and the loss ends lower",
            answers=(finding.code,),
        )
