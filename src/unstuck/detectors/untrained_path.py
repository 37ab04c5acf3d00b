"""SKP003 untrained-path: use takes a way through the model that no training loss goes.

## Why is this bad?
A decoder that no loss reaches is as random on the last day as on the first. Two parts that were
each trained well, but never one into the other, agree on nothing: the encoder of one domain into
the decoder of another. The training loss shows neither; it falls as it should.

## How it is detected
Facts of the probe `start`, which is told the loss at use (`at_use`) and compares its graph with
those of the training loss. *error*: more than `UNTRAINED` of the trained weights that use needs are
never reached (`unused_path/<model>/share`). *warning*: use passes a joint between two trained parts
that training never passes (`unused_path/<model>/joints`). Weights that are frozen or belong to no
optimizer are not counted, and neither is an output fed back into the model.

## Example
>>> from unstuck import Run
>>> def run(share=0.0, joints=0, parts="decoder_b", joint="encoder_a > decoder_b"):
...     facts = {"share": share, "joints": joints, "parts": parts, "joint": joint}
...     return Run.of(facts={f"unused_path/net/{k}": v for k, v in facts.items()})
>>> [(f.message, f.severity) for f in untrained_path(run(0.43))]
[('net: no training loss reaches 43% of the weights that use needs (decoder_b)', 'error')]
>>> [(f.message, f.severity) for f in untrained_path(run(joints=2))]
[('net: use goes encoder_a > decoder_b, training never; 2 joints of parts are such', 'warning')]
>>> [len(untrained_path(run(share))) for share in (0.014, 0.012)]
[1, 1]

## Look-alikes
A scale or two that only use needs, and a way that training knows:

>>> untrained_path(run(0.007)) + untrained_path(run(0.0))
[]

## What to try
`use-the-path-in-training`

## References
- Liu, Breuel & Kautz, Unsupervised Image-to-Image Translation Networks, 2017,
  <https://arxiv.org/abs/1703.00848>
- Zhu et al., Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks, 2017,
  <https://arxiv.org/abs/1703.10593>
"""

from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run
from unstuck.signals.names import shown

UNTRAINED = 0.01  # of the weights; healthy models missed none, sick ones 0.5 (LOG.md)


@detector(
    "SKP003",
    needs_facts=("unused_path/*/share", "unused_path/*/joints"),
    explains=("OPT010", "GRD004"),
)
def untrained_path(run: Run) -> Iterator[Finding]:
    for name, share in run.facts_matching("unused_path/*/share").items():
        key = name.removesuffix("/share")
        model, joints = key.split("/")[1], f"{key}/joints"
        count = run.facts.get(joints)
        if isinstance(share, int | float) and share > UNTRAINED:
            where = shown(str(run.facts.get(f"{key}/parts", "")), 24)
            yield Finding(
                "SKP003",
                where=model,
                message=(
                    f"{shown(model, 24)}: no training loss reaches {share:.0%} of the weights that "
                    f"use needs ({where})"
                ),
                evidence=(Evidence.of_fact(run, name, ">", UNTRAINED),),
                severity="error",
            )
        elif isinstance(count, int | float) and count > 0:
            joint = shown(str(run.facts.get(f"{key}/joint", "")), 32)
            yield Finding(
                "SKP003",
                where=model,
                message=(
                    f"{shown(model, 24)}: use goes {joint}, training never; {count:.0f} joints of "
                    "parts are such"
                ),
                evidence=(Evidence.of_fact(run, joints, ">", 0),),
            )
