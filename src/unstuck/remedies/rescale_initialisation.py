"""rescale-initialisation: start every layer with weights that keep the scale of its input.

## What it changes
`initialisation/<model or layer>`: weights are drawn anew before the first forward pass, from
`nn.init.kaiming_normal_` (for ReLU), `xavier_normal_` (for tanh and sigmoid) with biases zero, or
as torch makes the layer. Of the layer the finding is about where one layer was set apart from the
others (a head, a branch, a recurrent cell), else of its whole model.

## What is expected
Activations have about the same standard deviation in every layer at step 0, and so have gradients;
the loss begins lower, or begins to fall.

## When it does not help
Where the activation itself shrinks gradients at every layer (sigmoid) or the learning rate kills
units later. Weights that were loaded from a checkpoint are lost.

## Origin
- He et al., Delving Deep into Rectifiers, 2015, <https://arxiv.org/abs/1502.01852>
- Glorot & Bengio, Understanding the Difficulty of Training Deep Feedforward Neural Networks, 2010,
  <https://proceedings.mlr.press/v9/glorot10a.html>

>>> from unstuck import Finding, Run
>>> run = Run.of(facts={"parameters/net": 9})
>>> [t.changes for t in rescale_initialisation(run, Finding("INI001", "net.head", "", ()))][1:]
[{'initialisation/net.head': 'xavier'}, {'initialisation/net': 'default'}]
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy
from unstuck.signals.inventory import parts

OF_LAYERS = ("INI001", "GRD003")  # here one layer was set apart from the others


@remedy(
    "ACT002",
    "GRD002",
    "INI002",
    "ACT001",
    "GRD001",
    "INI001",
    "DAT002",
    "SEQ001",
    "ATT001",
    "GRD003",
    safety="changes-training",
)
def rescale_initialisation(run: Run, finding: Finding) -> Iterator[Treatment]:
    for where, how in _drawn(parts(run, finding.where), finding.code):
        yield Treatment(
            name=f"{' and '.join(where)} drawn anew: {how}",
            remedy="rescale-initialisation",
            changes={f"initialisation/{name}": how for name in where},
            expectation="the loss begins to fall and ends below that of the untreated run",
            answers=(finding.code,),
        )


def _drawn(own: list[str], code: str) -> list[tuple[list[str], str]]:
    """What is drawn anew, and from what, the likeliest first."""
    whole = list(dict.fromkeys(name.split(".")[0] for name in own))
    if not own:
        return []
    if code == "SEQ001":  # recurrent cells are drawn as torch makes them or not at all
        return [(one, "default") for one in ([own] if own == whole else [own, whole])]
    if code in OF_LAYERS and own != whole:
        return [(own, "default"), (own, "xavier"), (whole, "default")]
    if code == "ATT001":
        return [(whole, "default"), (whole, "xavier")]
    return [(whole, "kaiming"), (whole, "xavier"), (whole, "default")]
