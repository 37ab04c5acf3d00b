"""rescale-micro-batches: divide the loss of each micro-batch by their number.

## What it changes
`accumulation/<optimizer>` is 'mean': the gradient is divided by the number of backward passes that
were summed up in it. In the script: `(loss / accumulation_steps).backward()`; where micro-batches
differ in size, divide sums by the number of samples or tokens in all of them.

## What is expected
`mean_weight` times `accumulated_passes` is one, and a learning rate that suits the whole batch
suits the sum of its parts.

## When it does not help
Where the rate was tuned with the sum: then it has to be raised by the same factor, and nothing has
changed.

## Origin
- Goyal et al., Accurate, Large Minibatch SGD, 2017, <https://arxiv.org/abs/1706.02677>

>>> from unstuck import Finding, Run
>>> run = Run.of(lr__sgd=[0.3] * 9)
>>> [t.changes for t in rescale_micro_batches(run, Finding("OPT012", "sgd", "", ()))]
[{'accumulation/sgd': 'mean'}]
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy
from unstuck.signals.inventory import optimizers_of


@remedy("OPT012", safety="changes-training")
def rescale_micro_batches(run: Run, finding: Finding) -> Iterator[Treatment]:
    chosen = optimizers_of(run, finding.where)
    if chosen:
        yield Treatment(
            name=f"mean over the micro-batches of {' and '.join(chosen)}",
            remedy="rescale-micro-batches",
            changes={f"accumulation/{name}": "mean" for name in chosen},
            expectation="the loss falls steadily and ends below that of the untreated run",
            answers=(finding.code,),
        )
