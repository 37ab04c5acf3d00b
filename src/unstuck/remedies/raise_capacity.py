"""raise-capacity: give the model what the task needs: more units, less decay, all of the input.

## What it changes
Where the script is known to have a width (a flag such as `--hidden`): that times two, and times
four. In the script: the width or depth times two, or weight decay and dropout to a tenth, or the
input back to its full size and channels; one of them at a time.

## What is expected
The training loss falls below its old level, and validation follows it for a while.

## When it does not help
Where a wider model cannot fit a single batch either, the labels do not belong to the inputs, or
they are mostly wrong; then look at the data.

## Origin
- Goodfellow, Bengio, Courville, Deep Learning, 2016, section 11.3,
  <https://www.deeplearningbook.org>

>>> from unstuck import Finding, Run
>>> run = Run.of({"hidden_dim": 8})
>>> [t.changes for t in raise_capacity(run, Finding("CAP002", "model", "", ()))]
[{'hidden_dim': 16}, {'hidden_dim': 32}]
"""

from collections.abc import Iterator

from unstuck.flags import count_in
from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy

TIMES = (2, 4)


@remedy("CAP002", "GEN002", safety="changes-training")
def raise_capacity(run: Run, finding: Finding) -> Iterator[Treatment]:
    counted = count_in(run.recipe, "width")
    for times in TIMES if counted else ():
        field, width = counted or ("", 0)
        yield Treatment(
            name=f"{field} {times * width}",
            remedy="raise-capacity",
            changes={field: times * width},
            expectation="the loss falls below its old level",
            answers=(finding.code,),
        )
