"""ADV004 mode-collapse: a generator makes the same few samples over and over.

## Why is this bad?
It has found what its discriminator cannot tell just now and drawn every input there. Losses look
like those of a balanced game; of the data, all but a few kinds are lost.

## How it is detected
The distance of a made sample to the nearest other one of its batch, over the same of the samples
the discriminator is shown as real (`generated/<judge>/nearest`, `real/<judge>/nearest`), falls
below `COPIES` and to less than `FELL` of its start, in medians over tenths of the run, and stays
there for the last `LASTING`; below `COPIED` at the end it is an *error*. A generator that begins
with one grey image for all is young, not collapsed: it never fell. Noise that is added before the
discriminator hides a collapse; hand the samples to `run.generated(x)`, which are then compared with
their own start.

## Example
>>> from unstuck import Run
>>> def run(end=0.001, start=0.08, since=50, real=1.0, loss="d_loss"):
...     return Run.of(**{f"loss/{loss}": [1.4] * 100, "loss/g_loss": [0.7] * 100,
...         "generated/netD/nearest": [start] * since + [end] * (100 - since),
...         "real/netD/nearest": [real] * 100})
>>> [finding.message for finding in mode_collapse(run())]
['samples for netD lie 0.1% as far apart as real ones since step 59; at the start it was 8%']
>>> [len(mode_collapse(r)) for r in (run(0.018), run(0.018, start=0.065), run(since=60))]
[1, 1, 1]
>>> [f.severity for r in (run(0.0017), run(0.0025)) for f in mode_collapse(r)]
['error', 'warning']
>>> def told(end):
...     return Run.of(generated__fake__nearest=[0.1] * 50 + [end] * 50)
>>> [finding.where for finding in mode_collapse(told(0.001))]
['fake']

## Look-alikes
Samples that are alike but no copies, a generator that has not begun to spread, one that collapsed
for a moment, and distances to samples of a network that is no opponent:

>>> mode_collapse(run(0.022)) + mode_collapse(told(0.003))
[]
>>> mode_collapse(run(0.017, start=0.04)) + mode_collapse(run(since=70))
[]
>>> mode_collapse(run(loss="loss"))
[]

## What to try
`regularise-discriminator`, `update-discriminator-more`

## References
- Salimans et al., Improved Techniques for Training GANs (section 3.2), 2016,
  <https://arxiv.org/abs/1606.03498>
- Metz et al., Unrolled Generative Adversarial Networks, 2017, <https://arxiv.org/abs/1611.02163>
"""

from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series
from unstuck.signals.align import over
from unstuck.signals.games import discriminator_losses
from unstuck.signals.levels import end_level, start_level
from unstuck.signals.names import shown
from unstuck.signals.spans import finite, last_span_beyond, length
from unstuck.signals.windows import FEW, in_windows

COPIES = 0.02  # of the distance of real ones; games that went on had 0.056 or more (LOG.md)
COPIED = 0.002  # of it; collapsed games came to 1e-4 and less, one whose judge slept to 0.008
FELL = 0.3  # of the start; a generator that never moved rose from 0.014 of the distance (LOG.md)
LASTING = 0.25  # share of the run; a hop from mode to mode was over sooner (LOG.md)


@detector(
    "ADV004",
    needs=("generated/*/nearest",),
    sharpened_by=("real/*/nearest",),
    explains=("ADV001", "OPT003", "OPT004", "OPT005"),
)
def mode_collapse(run: Run) -> Iterator[Finding]:
    for made in run.matching("generated/*/nearest"):
        name = made.name.split("/")[1]
        real = run.series.get(f"real/{name}/nearest")
        if real is not None and not discriminator_losses(run):
            continue
        apart = finite(over(made, real, f"{made.name} / real") if real else _over_start(made))
        start = start_level(apart)
        calm = in_windows(apart, FEW)
        limit = min(COPIES, FELL * start) if start > 0 else 0.0
        span = last_span_beyond(calm, "<", limit, at_least=LASTING * length(apart))
        if not span:
            continue
        against = "real ones" if real else "at first"
        yield Finding(
            "ADV004",
            where=name,
            message=(
                f"samples for {shown(name, 24)} lie {abs(end_level(apart)):.1%} as far apart as "
                f"{against} since step {span[0]}; at the start it was {start:.0%}"
            ),
            evidence=(Evidence(calm, "<", limit, span),),
            severity="error" if end_level(apart) < COPIED else "warning",
        )


def _over_start(series: Series) -> Series:
    """A series over its own start."""
    start = start_level(series)
    value = series.value / start if start > 0 else series.value * float("nan")
    return Series(f"{series.name} / start", series.step, value)
