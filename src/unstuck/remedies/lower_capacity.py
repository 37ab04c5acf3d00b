"""lower-capacity: take a smaller model, or hold the large one down.

## What it changes
Where the script is known to have a width (a flag such as `--hidden`): half of it. In the script:
the width or depth to a half, or a pretrained model with only its last layers trained, or dropout
and weight decay times ten; one of them at a time.

## What is expected
The training loss ends higher, that on held-out samples lower.

## When it does not help
Where stopping at the best step does as well, or where more data is to be had: large models with
enough data do better than small ones.

## Origin
- Goodfellow, Bengio & Courville, Deep Learning, 2016, section 5.2,
  <https://www.deeplearningbook.org>

>>> from unstuck import Finding, Run
>>> run = Run.of({"hidden_dim": 512})
>>> [t.changes for t in lower_capacity(run, Finding("CAP001", "model", "", ()))]
[{'hidden_dim': 256}]
"""

from collections.abc import Iterator

from unstuck.flags import count_in
from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("CAP001", safety="changes-training")
def lower_capacity(run: Run, finding: Finding) -> Iterator[Treatment]:
    counted = count_in(run.recipe, "width")
    if counted and counted[1] > 1:
        field, width = counted
        yield Treatment(
            name=f"{field} {width // 2}",
            remedy="lower-capacity",
            changes={field: width // 2},
            expectation="the loss on held-out samples is lower",
            answers=(finding.code,),
        )
