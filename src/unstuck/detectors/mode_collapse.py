"""ADV004 mode-collapse: a generator makes the same few samples over and over.

## Why is this bad?
It has found what its discriminator cannot tell just now and drawn every input there. Losses look
like those of a balanced game; of the data, all but a few kinds are lost.

## How it is detected
The distance of a made sample to the nearest other one of its batch, over the same of the samples
the discriminator is shown as real (`generated/<judge>/nearest`, `real/<judge>/nearest`), is below
`COPIES` and less than `FELL` of its highest, in median over the last `LASTING` of its readings:
collapsed games hop from mode to mode. Below `COPIED` it is an *error*. A generator that begins with
one grey image for all is young, not collapsed: it never fell. Noise that is added before the
discriminator hides a collapse; hand the samples to `run.generated(x)`, which are then compared with
their own start.

Where no samples were watched, the probe `collapse` is enough: the same distance on given inputs
(`collapse/<model>/nearest`) against the one with every layer begun anew (`/nearest_began`), by the
same limits.

## Example
>>> from unstuck import Run
>>> def run(end=0.001, start=0.08, since=50, real=1.0, loss="d_loss"):
...     return Run.of(**{f"loss/{loss}": [1.4] * 100, "loss/g_loss": [0.7] * 100,
...         "generated/netD/nearest": [start] * since + [end] * (100 - since),
...         "real/netD/nearest": [real] * 100})
>>> [finding.message for finding in mode_collapse(run())]
['samples for netD lie 0.1% as far apart as real ones at the end; at best it was 8%']
>>> [len(mode_collapse(r)) for r in (run(0.018), run(0.018, start=0.065), run(since=65))]
[1, 1, 1]
>>> [f.severity for r in (run(0.0017), run(0.0025)) for f in mode_collapse(r)]
['error', 'warning']
>>> def told(end):
...     return Run.of(generated__fake__nearest=[0.1] * 50 + [end] * 50)
>>> [finding.where for finding in mode_collapse(told(0.001))]
['fake']

Facts of the probe alone:

>>> from unstuck import diagnose
>>> def probed(nearest, began=0.05):
...     facts = {"nearest": nearest, "nearest_began": began}
...     run = Run.of(facts={f"collapse/netG/{k}": v for k, v in facts.items()})
...     return [(c.finding.message, c.finding.severity) for c in diagnose(run).causes]
>>> probed(0.001)
[('samples of netG lie 0.1% as far apart as real ones; begun anew they lie 5%', 'error')]

## Look-alikes
Samples that are alike but no copies, a generator that has not begun to spread, one that collapsed
for a moment, and distances to samples of a network that is no opponent:

>>> mode_collapse(run(0.022)) + mode_collapse(told(0.003))
[]
>>> mode_collapse(run(0.017, start=0.04)) + mode_collapse(run(since=80))
[]
>>> mode_collapse(run(loss="loss"))
[]

>>> probed(0.03) + probed(0.015, began=0.03)
[]

## What to try
`regularise-discriminator`, `update-discriminator-more`

## References
- Salimans et al., Improved Techniques for Training GANs (section 3.2), 2016,
  <https://arxiv.org/abs/1606.03498>
- Metz et al., Unrolled Generative Adversarial Networks, 2017, <https://arxiv.org/abs/1611.02163>
"""

from collections.abc import Iterator

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series
from unstuck.signals.align import over
from unstuck.signals.games import discriminator_losses
from unstuck.signals.levels import start_level
from unstuck.signals.names import shown
from unstuck.signals.spans import finite

COPIES = 0.02  # of the distance of real ones; games that went on had 0.056 or more (LOG.md)
COPIED = 0.002  # of it; collapsed games came to 1e-4 and less, one whose judge slept to 0.008
FELL = 0.3  # of the highest; a generator that never moved kept 0.6 of its 0.024 (LOG.md)
LASTING = 0.5  # share of the readings; collapsed games came back for up to two tenths (LOG.md)


@detector(
    "ADV004",
    needs=("generated/*/nearest",),
    or_facts=("collapse/*/nearest", "collapse/*/nearest_began"),
    sharpened_by=("real/*/nearest", "collapse/*/nearest"),
    explains=("OPT003", "OPT004", "OPT005"),
)
def mode_collapse(run: Run) -> Iterator[Finding]:
    if not run.matching("generated/*/nearest"):
        yield from _probed(run)
    for made in run.matching("generated/*/nearest"):
        name = made.name.split("/")[1]
        real = run.series.get(f"real/{name}/nearest")
        if real is not None and not discriminator_losses(run):
            continue
        apart = finite(over(made, real, f"{made.name} / real") if real else _over_start(made))
        if len(apart) < 2:
            continue
        late = apart.value[-max(1, round(LASTING * len(apart))) :]
        end, highest = float(np.median(late)), float(apart.value.max())
        if not end < COPIES or not end < FELL * highest:
            continue
        step = int(apart.step[-1])
        median = Series(f"{apart.name} (median)", apart.step[-1:], np.array([end]))
        yield Finding(
            "ADV004",
            where=name,
            message=(
                f"samples for {shown(name, 24)} lie {end:.1%} as far apart as "
                f"{'real ones' if real else 'at first'} at the end; "
                f"at best it was {highest:.0%}"
            ),
            evidence=(Evidence(median, "<", COPIES, (step, step)),),
            severity="error" if end < COPIED else "warning",
        )


def _probed(run: Run) -> Iterator[Finding]:
    """The same of a generator that a probe has asked once."""
    for name, near in run.facts_matching("collapse/*/nearest").items():
        began = run.facts.get(f"{name}_began")
        if not isinstance(near, int | float) or not isinstance(began, int | float):
            continue
        if near < COPIES and near < FELL * began:
            model = name.split("/")[1]
            yield Finding(
                "ADV004",
                where=model,
                message=(
                    f"samples of {shown(model, 24)} lie {near:.1%} as far apart as real ones; "
                    f"begun anew they lie {began:.0%}"
                ),
                evidence=(Evidence.of_fact(run, name, "<", COPIES),),
                severity="error" if near < COPIED else "warning",
            )


def _over_start(series: Series) -> Series:
    """A series over its own start."""
    start = start_level(series)
    value = series.value / start if start > 0 else series.value * float("nan")
    return Series(f"{series.name} / start", series.step, value)
