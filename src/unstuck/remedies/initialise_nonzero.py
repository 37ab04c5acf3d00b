"""initialise-nonzero: start layers that follow one another from non-zero weights.

## What it changes
`initialisation/<model>`: its layers get the weights that torch makes them with, or those of
`nn.init.kaiming_normal_`. In the script: weights that were set to zero keep the default of their
layer. At most the last layer of a residual branch, or the last layer of all, starts at zero; never
two in a row.

## What is expected
All parameter tensors get a gradient from the first or second step on, and the loss begins to fall.

## When it does not help
Where the gradient is missing because the graph is cut (`detach`, `no_grad`, an unused branch).

## Origin
- Zhang, Dauphin & Ma, Fixup Initialization, 2019, <https://arxiv.org/abs/1901.09321>

>>> from unstuck import Finding, Run
>>> run = Run.of(facts={"parameters/net": 9})
>>> [t.changes for t in initialise_nonzero(run, Finding("GRD005", "adam", "", ()))]
[{'initialisation/net': 'default'}, {'initialisation/net': 'kaiming'}]
>>> many = Run.of(facts={f"parameters/part{i}": 9 for i in range(7)})
>>> initialise_nonzero(many, Finding("GRD005", "adam", "", ()))[0].name
'part0 and part1 and part2 and part3 and 3 more drawn anew: default'
"""

from collections.abc import Iterator, Sequence

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy
from unstuck.signals.inventory import parts

WAYS = ("default", "kaiming")
NAMED = 4  # models that a treatment's name lists


@remedy("GRD005", safety="changes-training")
def initialise_nonzero(run: Run, finding: Finding) -> Iterator[Treatment]:
    chosen = parts(run, finding.where)
    for how in WAYS if chosen else ():
        yield Treatment(
            name=f"{_named(chosen)} drawn anew: {how}",
            remedy="initialise-nonzero",
            changes={f"initialisation/{name}": how for name in chosen},
            expectation="every parameter gets a gradient, and the loss begins to fall",
            answers=(finding.code,),
        )


def _named(models: Sequence[str]) -> str:
    more = [f"{len(models) - NAMED} more"] if len(models) > NAMED else []
    return " and ".join([*models[:NAMED], *more])
