"""CTX002 keyhole-patches: what was learnt on patches does not hold on the full canvas.

## Why is this bad?
The loss that training prints is that of its patches, and falls. Where the answer depends on what
lies outside of a patch, or further than the network sees, the full canvas stays wrong.

## How it is detected
Facts of the probe `keyhole`: on patches the error is less than `LEARNT` of that of the best
constant, on the full canvas more than `MISSED` of it, and one output sees less than `SEEN` of the
full canvas's side.

## Example
>>> from unstuck import Run
>>> def run(patch=0.1, full=0.8, seen=0.25):
...     facts = {"patch": patch, "full": full, "seen": seen}
...     return Run.of(facts={f"keyhole/net/{name}": value for name, value in facts.items()})
>>> [finding.message for finding in keyhole_patches(run())]
['net: error 10% of the best constant on patches, 80% on the full canvas, of which it sees 25%']

## Look-alikes
Patches that hold on the full canvas, however little of it is seen; patches that are not learnt
either; an error that is larger, not large; and a network that sees enough:

>>> keyhole_patches(run(full=0.12, seen=0.1)) + keyhole_patches(run(patch=0.3))
[]
>>> keyhole_patches(run(full=0.4)) + keyhole_patches(run(seen=0.6))
[]
>>> len(keyhole_patches(run(patch=0.18, full=0.6, seen=0.4)))
1

## What to try
`use-whole-canvas`, `raise-horizon`

## References
- Luo et al., Understanding the Effective Receptive Field in Deep Convolutional Neural Networks,
  2016, <https://arxiv.org/abs/1701.04128>
- Huang et al., Tiling and Stitching Segmentation Output for Remote Sensing, 2018,
  <https://arxiv.org/abs/1805.12219>
"""

import math
from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run
from unstuck.signals.known import known
from unstuck.signals.names import shown

# All three: holes filled and rows summed up on crops and on the full canvas, LOG.md.
LEARNT = 0.25  # of the best constant's error; sick runs had 0.005 to 0.17 on patches
MISSED = 0.5  # of it; sick runs had 0.70 and more on the full canvas, healthy ones 0.02 at most
SEEN = 0.5  # of the full canvas's side; sick runs saw 0.23 and 0.31


@detector("CTX002", needs_facts=("keyhole/*/patch", "keyhole/*/full", "keyhole/*/seen"))
def keyhole_patches(run: Run) -> Iterator[Finding]:
    for fact in run.facts_matching("keyhole/*/full"):
        model = fact.split("/")[1]
        names = [f"keyhole/{model}/{what}" for what in ("patch", "full", "seen")]
        patch, full, seen = (known(run, name, math.nan) for name in names)
        if not (patch < LEARNT and full > MISSED and seen < SEEN):
            continue
        yield Finding(
            "CTX002",
            where=model,
            message=(
                f"{shown(model, 20)}: error {100 * patch:.3g}% of the best constant on patches, "
                f"{100 * full:.3g}% on the full canvas, of which it sees {100 * seen:.0f}%"
            ),
            evidence=(
                Evidence.of_fact(run, names[0], "<", LEARNT),
                Evidence.of_fact(run, names[1], ">", MISSED),
                Evidence.of_fact(run, names[2], "<", SEEN),
            ),
        )
