"""rescale-schedule: give the schedule the length of the run.

## What it changes
`schedule/<optimizer>`: half a cosine from the first rate down to nothing over the length of the
run, or the first rate throughout. In the script: a schedule counted in epochs (`StepLR(30)`,
`MultiStepLR`, `T_max=epochs`) is stepped once an epoch; one that is stepped at every batch gets its
length in batches, epochs times batches an epoch, less where gradients are accumulated.

## What is expected
The learning rate falls over the whole run, and so does the loss.

## When it does not help
Where the rate was lowered because the loss had stopped falling: it would have stayed flat.

## Origin
- PyTorch, How to adjust learning rate, <https://pytorch.org/docs/stable/optim.html>
- Loshchilov & Hutter, SGDR, 2017 (the cosine), <https://arxiv.org/abs/1608.03983>

>>> from unstuck import Finding, Run
>>> run = Run.of(lr__adam=[0.1, 0.01, 0.001] + [1e-9] * 97)
>>> [t.changes for t in rescale_schedule(run, Finding("OPT006", "adam", "", ()))]
[{'schedule/adam': 'cosine:100'}, {'schedule/adam': 'constant'}]
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy
from unstuck.signals.inventory import optimizers_of


@remedy("OPT006", safety="changes-training")
def rescale_schedule(run: Run, finding: Finding) -> Iterator[Treatment]:
    chosen = optimizers_of(run, finding.where)
    for shape in (f"cosine:{run.last_step + 1}", "constant") if chosen else ():
        yield Treatment(
            name=f"schedule of {' and '.join(chosen)} {shape}",
            remedy="rescale-schedule",
            changes={f"schedule/{name}": shape for name in chosen},
            expectation="the loss falls over the whole run and ends lower",
            answers=(finding.code,),
        )
