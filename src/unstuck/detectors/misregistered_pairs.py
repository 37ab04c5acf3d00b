"""DAT003 misregistered-pairs: paired pictures lie a constant distance off each other.

## Why is this bad?
A loss that compares pixels teaches the offset together with everything else: outputs are shifted at
use, skips carry their picture to the wrong place, and a term that wants output and input to agree
(a cycle, an identity, a blend) can never be met. Below a pixel it shows as blur.

## How it is detected
Facts of the probe `registration`: the offset's interval begins above `FAR` px, and more
than `AGREE` of at least `FEWEST` pairs show the same offset by themselves, `ALIKE` times as sharply
as shuffled pairs do: where all pictures show the same, they may well be meant to differ.
Where all pairs are of one batch it is an *info*: a shift drawn batch by batch, or the motion of one
scene, looks the same; and where the second picture, moved back, equals the first (correlation above
`SAME`): the next frame of a film may well have moved.

## Example
>>> from unstuck import Run
>>> def run(low=1.9, agreement=1.0, pairs=32, batches=4, likeness=3.0, same=0.7):
...     known = {"low": low, "agreement": agreement, "pairs": pairs, "batches": batches}
...     known |= {"likeness": likeness, "same": same, "dx": 2.0, "dy": 0.1, "offset": 2.0025}
...     return Run.of(facts={f"registration/model/{name}": v for name, v in known.items()})
>>> [finding.message for finding in misregistered_pairs(run())]
['model: second pictures lie 2.00 px off the first (+2.00 right, +0.10 down) in 100% of 32 pairs']
>>> more = run(low=0.8), run(agreement=0.7), run(pairs=10), run(likeness=1.8)
>>> [len(misregistered_pairs(r)) for r in more]
[1, 1, 1, 1]
>>> [f.severity for r in (run(batches=1), run(same=1.0)) for f in misregistered_pairs(r)]
['info', 'info']
>>> [finding.severity for finding in misregistered_pairs(run())]
['warning']

A script that checks its pairs by itself may tell less (`unstuck.note`):

>>> told = {"dx": 2.0, "dy": 2.0, "offset": 2.83, "low": 2.7, "agreement": 0.9, "pairs": 200}
>>> facts = {f"registration/pairs/{name}": value for name, value in told.items()}
>>> [finding.severity for finding in misregistered_pairs(Run.of(facts=facts))]
['warning']

## Look-alikes
Every second pixel instead of the mean of four (a third of a pixel), pairs that each lie elsewhere,
pictures that have nothing to do with each other, too few pairs to tell, and the same seed and the
same target in every pair, as an automaton has them:

>>> misregistered_pairs(run(low=0.5))
[]
>>> misregistered_pairs(run(agreement=0.5))
[]
>>> misregistered_pairs(run(pairs=6)) + misregistered_pairs(run(likeness=1.2))
[]

## What to try
`use-registered-pairs`

## References
- Kuglin & Hines, The Phase Correlation Image Alignment Method, IEEE Conference on Cybernetics and
  Society, 1975
- Kong et al., Breaking the Dilemma of Medical Image-to-image Translation, 2021,
  <https://arxiv.org/abs/2110.06465>
"""

import math
from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Finding, Run
from unstuck.signals.known import from_the_start, known
from unstuck.signals.names import shown

# All: pairs of glyphs, contrasts, masks, digits and textures, LOG.md.
FAR = 0.6  # px; registered pairs lie up to 0.1 apart, decimated ones 0.35
AGREE = 0.6  # of the pairs; of unrelated pairs at most a third do, of registered ones nearly all
ALIKE = 1.5  # times as sharp; unrelated pairs reach 1.4, contrasts of one anatomy 1.9
SAME = 0.95  # correlation; frames of moving films reach 1.0, fonts and contrasts at most 0.7
FEWEST = 8  # pairs; of four unrelated ones three may agree by chance

FACTS = ("low", "agreement", "pairs", "same", "dx", "dy", "offset")
UNTOLD = ("likeness", "batches")  # a script's own check may leave them out: then they do not speak


@detector("DAT003", needs_facts=("registration/*/low", "registration/*/agreement"))
def misregistered_pairs(run: Run) -> Iterator[Finding]:
    for name in run.facts_matching("registration/*/low"):
        place = name.removesuffix("/low")
        low, agreement, pairs, same, dx, dy, offset = (
            known(run, f"{place}/{what}") for what in FACTS
        )
        alike, batches = (known(run, f"{place}/{what}", math.inf) for what in UNTOLD)
        if not (low > FAR and agreement > AGREE and pairs >= FEWEST and alike > ALIKE):
            continue
        where = place.split("/", 1)[1]
        yield Finding(
            "DAT003",
            where=where,
            message=(
                f"{shown(where, 24)}: second pictures lie {offset:.2f} px off the first "
                f"({dx:+.2f} right, {dy:+.2f} down) in {agreement:.0%} of {pairs:g} pairs"
            ),
            evidence=(
                from_the_start(run, name, ">", FAR),
                from_the_start(run, f"{place}/agreement", ">", AGREE),
            ),
            severity="info" if batches <= 1 or same > SAME else "warning",
        )
