"""OPT010 orphaned-parameters: parameters get gradients but belong to no optimizer.

## Why is this bad?
They are differentiated at every step and never change. Most often a list of parameters was built
too early or for another module, and part of the model stays as it was initialised.

## How it is detected
At the end, `orphaned/<model>` is above `NONE`: that share of the model's parameters got a gradient
and is held by no optimizer. Above `HALF` it is an *error*, or a *warning* if a loss has fallen
below `LEARNS` of its start all the same (a head trained on features meant to be frozen). A whole
model, above `WHOLE`, is an *info*: a loss network somebody forgot to freeze.

## Example
>>> from unstuck import Run
>>> run = Run.of(orphaned__net=[0.7] * 30, loss__train=[2.3] * 10 + [1.5] * 20,
...              facts={"orphaned/net/layers": "encoder.0, encoder.2"})
>>> [(finding.message, finding.severity) for finding in orphaned_parameters(run)]
[('70% of the parameters of net get gradients but are in no optimizer:
encoder.0, encoder.2', 'error')]
>>> [finding.severity for finding in orphaned_parameters(Run.of(orphaned__net=[0.4] * 30))]
['warning']
>>> [finding.severity for finding in orphaned_parameters(Run.of(orphaned__net=[0.012] * 30))]
['warning']

## Look-alikes
A loss network that is not frozen, a model whose second optimizer had not stepped yet, parameters
that were added to the optimizer later, and a handful that do not matter:

>>> [finding.severity for finding in orphaned_parameters(Run.of(orphaned__vgg=[1.0] * 30))]
['info']
>>> orphaned_parameters(Run.of(orphaned__critic=[1.0, 1.0] + [0.0] * 28))
[]
>>> orphaned_parameters(Run.of(orphaned__net=[0.008] * 30))
[]

A head that learns on features that were meant to be frozen:

>>> headed = Run.of(orphaned__net=[0.7] * 30, loss__train=[2.3] * 10 + [0.9] * 20)
>>> [finding.severity for finding in orphaned_parameters(headed)]
['warning']

## What to try
`give-to-optimizer`, `freeze-loss-network`

## References
- PyTorch, torch.optim, "Constructing it", <https://docs.pytorch.org/docs/stable/optim.html>
"""

from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series, Severity
from unstuck.signals.levels import share_left
from unstuck.signals.names import shown
from unstuck.signals.spans import last_span_beyond

NONE = 0.01  # share of parameters; a forgotten scale or bias is less, a forgotten layer is more
HALF = 0.5  # share of parameters: the greater part of the model stays as it was
WHOLE = 0.99  # share of parameters: no part of the model is trained, so none was forgotten
LEARNS = 0.5  # share of the loss left; with most of a model orphaned 0.7 or more was left (LOG.md)


@detector("OPT010", needs=("orphaned/*",), explains=("OPT004", "COL004", "LOS002"))
def orphaned_parameters(run: Run) -> Iterator[Finding]:
    for share in run.matching("orphaned/*"):
        span = last_span_beyond(share, ">", NONE)
        if span is None:
            continue
        model = share.name.split("/", 1)[1]
        layers = str(run.facts.get(f"orphaned/{model}/layers", ""))
        yield Finding(
            "OPT010",
            where=model,
            message=(
                f"{share.value[-1]:.0%} of the parameters of {shown(model, 20)} get gradients but "
                f"are in no optimizer{': ' + shown(layers, 30) if layers else ''}"
            ),
            evidence=(Evidence(share, ">", NONE, span),),
            severity=_severity(run, share),
        )


def _severity(run: Run, share: Series) -> Severity:
    if share.value[-1] > WHOLE:
        return "info"
    learns = any(share_left(s) < LEARNS for s in run.matching("loss/*"))
    return "error" if share.value[-1] > HALF and not learns else "warning"
