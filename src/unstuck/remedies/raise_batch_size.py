"""raise-batch-size: let more samples make one step, at once or by accumulation.

## What it changes
Against noise, `accumulation/<optimizer>`: the gradients of several steps are averaged and one step
is taken, as many as the probe `noise-scale` asks for where it was run, else 4 and 16. Where the
script is known to have a batch size of its own (a flag), that times 4. Accumulated micro-batches
help against noise of the gradient; they do not help a batch normalisation, which sees one
micro-batch at a time, nor a machine that has too little to do at once: there only the flag is
changed.

## What is expected
The noise of the gradient falls by the square root of the factor: the loss settles lower. On a
machine that was not busy a step takes less time for each sample.

## When it does not help
Where labels do not follow from inputs: all of the gradient is noise then, at any size. Where memory
is full, or where larger batches cost quality: then look for the time elsewhere.

## Origin
- McCandlish et al., An Empirical Model of Large-Batch Training, 2018,
  <https://arxiv.org/abs/1812.06162>

>>> from unstuck import Finding, Run
>>> run = Run.of({"batch_size": 2}, lr__sgd=[0.3] * 9)
>>> [t.changes for t in raise_batch_size(run, Finding("OPT008", "sgd", "", ()))]
[{'accumulation/sgd': 4}, {'accumulation/sgd': 16}, {'batch_size': 8}]
>>> [t.changes for t in raise_batch_size(run, Finding("NRM001", "model.1", "", ()))]
[{'batch_size': 8}]
"""

from collections.abc import Iterator

from unstuck.flags import count_in
from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy
from unstuck.signals.batch_size import batch_sizes
from unstuck.signals.inventory import optimizers_of

TIMES = 4
STEPS = (4, 16)  # the noise falls to a half and to a quarter
MOST = 64


@remedy("NRM001", "OPT008", "SYS004", safety="changes-training")
def raise_batch_size(run: Run, finding: Finding) -> Iterator[Treatment]:
    counted = count_in(run.recipe, "batch")
    noisy = finding.code == "OPT008"
    if noisy and any(size.far_above for size in batch_sizes(run)):
        return
    chosen = optimizers_of(run, finding.where) if noisy else []
    for steps in _wanted(run) if chosen else ():
        yield Treatment(
            name=f"{steps} batches of {' and '.join(chosen)} for one step",
            remedy="raise-batch-size",
            changes={f"accumulation/{name}": steps for name in chosen},
            expectation="the loss settles lower",
            answers=(finding.code,),
        )
    if counted:
        field, size = counted
        yield Treatment(
            name=f"{field} {TIMES * size}",
            remedy="raise-batch-size",
            changes={field: TIMES * size},
            expectation=_EXPECTED[finding.code],
            answers=(finding.code,),
        )


def _wanted(run: Run) -> tuple[int, ...]:
    """How many batches make one as large as the noise scale, or the usual numbers."""
    asked = [round(size.low / size.batch) for size in batch_sizes(run) if size.below]
    return (max(2, min(MOST, *asked, MOST)),) if asked else STEPS


_EXPECTED = {
    "OPT008": "the loss settles lower",
    "NRM001": "validation comes near training, and its metric is better",
    "SYS004": "a step takes less time for each of its samples",
}
