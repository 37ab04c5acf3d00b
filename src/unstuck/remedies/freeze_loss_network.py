"""freeze-loss-network: switch off gradients of a network that only measures.

## What it changes
`freeze/<model>`, where all of a model is orphaned beside another that is trained. In the script:
`network.requires_grad_(False).eval()` for a perceptual or feature loss.

## What is expected
Less memory and time for each backward pass; the training itself is unchanged.

## When it does not help
Where the network is meant to be trained: give it to an optimizer.

## Origin
- PyTorch, Autograd Mechanics, <https://docs.pytorch.org/docs/stable/notes/autograd.html>

>>> from unstuck import Finding, Run
>>> run = Run.of({}, {"parameters/net": 9, "parameters/vgg": 9}, orphaned__vgg=[1.0] * 9)
>>> [t.changes for t in freeze_loss_network(run, Finding("OPT010", "vgg", "", ()))]
[{'freeze/vgg': 'on'}]
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy
from unstuck.signals.inventory import models
from unstuck.signals.levels import end_level

WHOLE = 0.999  # of the parameters of a model: it only measures


@remedy("OPT010", safety="safe")
def freeze_loss_network(run: Run, finding: Finding) -> Iterator[Treatment]:
    known = models(run)
    orphaned = run.series.get(f"orphaned/{finding.where}")
    if finding.where in known and len(known) > 1 and orphaned and end_level(orphaned) > WHOLE:
        yield Treatment(
            name=f"{finding.where} frozen",
            remedy="freeze-loss-network",
            changes={f"freeze/{finding.where}": "on"},
            expectation="a step takes less time and memory; the loss is unchanged",
            answers=(finding.code,),
        )
