"""OPT005 loss-spikes: a loss jumps far out of its noise again and again, and comes back.

## Why is this bad?
Each jump undoes much of what was learned, and steps are spent on learning it again. This is a
symptom: single batches that are wrong, gradients that are not bounded, steps that are too large.

## How it is detected
`loss/<name>` is compared with its course (medians over windows) and its noise (the ninth decile of
the distances to it). An excursion of more than `FAR` noises that loses `HIGH` of all that the loss
had fallen by is a spike. At least `MANY` of them make a finding, where they stand `ALONE`: of the
excursions of a third of that size, spikes make up most, while noise with heavy tails (tiny batches)
has many more small ones. The first tenth of the readings is left out.

Spikes that come at regular intervals are an *info*: new data at every stage of a curriculum, or
the same batch at every pass, which has a code of its own.

## Example
>>> from unstuck import Run
>>> def run(height, noise=0.04, at=(151, 221, 330, 390), more=()):
...     loss = [2.0 - 0.0025 * t + noise / 2 * (t % 5 - 2) for t in range(480)]
...     for step, up in [*((a, height) for a in at), *((m, 0.45 * height) for m in more)]:
...         loss[step:step + 2] = [loss[step] + up] * 2
...     return Run.of(loss__train=loss)
>>> [finding.message for finding in loss_spikes(run(0.75))]
['loss/train jumped 4 times since step 151, highest at step 222 from 1.45 to 2.18, and came back']
>>> [f.severity for f in loss_spikes(run(1.4, noise=0.1, more=(440,)))]
['warning']

## Look-alikes
Jumps that cost little, noise that is as high, a few jumps only, and heavy tails, where many
smaller excursions lead up to the largest:

>>> loss_spikes(run(0.5))
[]
>>> loss_spikes(run(0.8, noise=0.1))
[]
>>> loss_spikes(run(2.0, at=(151, 221, 390)))
[]
>>> loss_spikes(run(0.9, more=(90, 190, 270, 440)))
[]

Spikes at regular intervals are worth knowing only:

>>> [(f.message[:41], f.severity) for f in loss_spikes(run(0.9, at=(101, 201, 301, 401)))]
[('loss/train jumped 4 times every 100 steps', 'info')]

## What to try
`clip-gradients`, `lower-learning-rate`

## References
- Chowdhery et al., PaLM: Scaling Language Modeling with Pathways (section 5.1), 2022,
  <https://arxiv.org/abs/2204.02311>
- Pascanu, Mikolov & Bengio, On the Difficulty of Training Recurrent Neural Networks, 2013,
  <https://arxiv.org/abs/1211.5063>
"""

from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series
from unstuck.signals.games import lone_losses
from unstuck.signals.jumps import Jump, course_of, jumps, period_of
from unstuck.signals.names import shown

FAR = 10  # noises; only heavy tails jumped so far and so high more than once (LOG.md)
HIGH = 0.5  # of the whole fall; bad batches cost 0.52 to 88 (LOG.md)
MANY = 4  # healthy runs one but for heavy tails, runs with bad batches five up (LOG.md)
ALONE = 0.55  # of the excursions; with bad batches 0.56 up, under heavy tails up to 0.5 (LOG.md)


@detector("OPT005", needs=("loss/*",))
def loss_spikes(run: Run) -> Iterator[Finding]:
    for series in lone_losses(run):
        found = _spikes(series)
        if len(found) < MANY:
            continue
        period = period_of(found)
        when = f"every {period} steps" if period else f"since step {found[0].since}"
        top = max(found, key=lambda jump: jump.height)
        yield Finding(
            "OPT005",
            where=series.name,
            message=(
                f"{shown(series.name, 24)} jumped {len(found)} times {when}, highest at step "
                f"{top.at} from {top.course:.3g} to {top.course + top.height:.3g}, and came back"
            ),
            evidence=tuple(_evidence(series, jump) for jump in found[:5]),
            severity="info" if period else "warning",
        )


def _spikes(series: Series) -> list[Jump]:
    """The jumps that are far and high, where they are not the tail of many smaller ones."""
    course = course_of(series)
    if course is None:
        return []
    every = jumps(course, FAR / 3)
    found = [j for j in every if j.noises > FAR and j.height > HIGH * course.gain]
    return found if len(found) > ALONE * len(every) else []


def _evidence(series: Series, jump: Jump) -> Evidence:
    """The reading was at least that far above the course, but for rounding."""
    return Evidence(series, ">", jump.course + 0.999 * jump.height, (jump.at, jump.at))
