"""OPT008 noise-dominated-gradient: the noise of small batches holds the loss up at this rate.

## Why is this bad?
Where two batches in a row ask for steps that have nothing in common, the weights wander about the
minimum as far as rate and noise carry them. Training on does not help: a lower rate, a rate that
falls, or larger batches do.

## How it is detected
In the second half of a run of `FOR_STEPS` steps or more the gradients of consecutive steps agree by
less than `AGREE` either way (below it they go back and forth, which is `learning-rate-too-high`),
and the noise floor, a quarter of gradient times the movement it causes, is above `FLOOR` of the
loss and below all of it, and above `GONE` at the end: noise falls with a rate that falls. The loss
has settled, its last quarter above `SETTLED` of the one before, with more than `LEFT` of its start
still there. Games and losses of several stages are left out.

The reverse is an *info*: gradients that agree by more than `ALIKE` say that a smaller batch would
give the same steps for less work.

The probe `noise-scale` measures in how many samples signal and noise are equal. A batch above its
whole interval takes the warning back; one below it is a further piece of evidence. By itself it is
an *info*, of a batch ten times smaller (twice the batch is then nearly half the steps) or ten times
larger: a loss may fall well with either.

## Example
>>> from unstuck import Run, Series
>>> import numpy as np
>>> def run(agree=0.02, floor=0.4, end=1.9, start=2.3, steps=800):
...     loss = [start] * 10 + [2.0] * (3 * steps // 4 - 10) + [end] * (steps // 4)
...     return Run.of(loss__train=loss, gradient_agreement__sgd=[agree] * steps,
...                   noise_floor__sgd=[floor] * steps)
>>> [(f.message, f.severity) for f in noise_dominated_gradient(run())]
[('noise of sgd holds loss/train up by 21%: gradients of steps in a row agree by 0.02', 'warning')]
>>> cases = run(agree=0.07), run(floor=0.3), run(end=1.7), run(start=8.5)
>>> [len(list(noise_dominated_gradient(r))) for r in cases]
[1, 1, 1, 1]
>>> [(f.message, f.severity) for f in noise_dominated_gradient(run(agree=0.97))]
[('gradients of sgd agree by 0.97 from step to step: a smaller batch would give the same', 'info')]


The probe's facts, alone and beside the series:

>>> from unstuck import diagnose
>>> def probed(batch, low, high, series={}):
...     facts = {"batch": batch, "low": low, "high": high}
...     facts = {f"noise_scale/net/{name}": value for name, value in facts.items()}
...     found = diagnose(Run(series, facts=facts)).findings
...     return [(f.message, f.severity) for f in found if f.code == "OPT008"]
>>> probed(8, 200.0, 350.0)
[('a batch of 8 for net is 25 times below its noise scale: a larger one saves steps', 'info')]
>>> probed(4096, 20.0, 32.0)
[('a batch of 4096 for net is 128 times above its noise scale: a smaller one would do', 'info')]
>>> probed(8, 20.0, 35.0, run().series)
[('noise of sgd holds loss/train up by 21%: gradients of steps in a row agree by 0.02', 'warning')]

## Look-alikes
Signal in the gradient, steps that go back and forth, a floor far below the loss or above it, a loss
that still falls, one with little left, and a short run:

>>> [f for r in (run(agree=0.11), run(agree=-0.11), run(floor=0.2), run(floor=2.5))
...  for f in noise_dominated_gradient(r)]
[]
>>> probed(8, 60.0, 90.0) + probed(512, 40.0, 60.0) + probed(64, 20.0, 35.0, run().series)
[]
>>> def falls(end):
...     floor = Series("noise_floor/sgd", np.arange(800), [0.8] * 700 + [end] * 100)
...     return list(noise_dominated_gradient(Run(run().series | {floor.name: floor})))
>>> falls(0.035), len(falls(0.042))
([], 1)
>>> silent = run(end=1.4), run(start=11.0), run(agree=0.7), run(steps=500)
>>> [f for r in silent for f in noise_dominated_gradient(r)]
[]

## What to try
`raise-batch-size`, `lower-learning-rate`

## References
- McCandlish et al., An Empirical Model of Large-Batch Training, 2018,
  <https://arxiv.org/abs/1812.06162>
- Mandt, Hoffman & Blei, Stochastic Gradient Descent as Approximate Bayesian Inference, 2017,
  <https://arxiv.org/abs/1704.04289>
- Chee & Toulis, Convergence Diagnostics for Stochastic Gradient Descent (the inner product of
  successive gradients), 2018, <https://arxiv.org/abs/1710.06382>
"""

from collections.abc import Iterator

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Floats, Run, Series
from unstuck.signals.batch_size import BatchSize, batch_sizes
from unstuck.signals.games import lone_losses
from unstuck.signals.levels import end_level, start_level
from unstuck.signals.names import shown, where_of
from unstuck.signals.spans import finite, from_step, length

AGREE = 0.08  # cosine; ruled by noise 0.00 to 0.04, with signal that counts 0.18 up (LOG.md)
FLOOR = 0.12  # of the loss; held up by noise 0.16 up, healthy with as much left 0.08 (LOG.md)
SETTLED = 0.75  # of the third quarter's mean; those held up keep 0.8 up (LOG.md)
LEFT = 0.2  # of the start; near zero noise and signal vanish together, and the floor tells nothing
ALIKE = 0.93  # cosine; the whole data at once has 0.99, batches of 32 up to 0.84 (LOG.md)
GONE = 0.02  # of the loss at the end; held up 0.086 up, at a rate that fell to zero 0.001 (LOG.md)
FOR_STEPS = 600  # steps; of fewer the second half has no 20 readings, and means are off by 0.1


@detector(
    "OPT008",
    needs=("gradient_agreement/*",),
    sharpened_by=("noise_floor/*",),
    by_step=True,
    or_facts=("noise_scale/*/batch",),
    explains=("OPT001", "OPT005", "GEN003"),
)
def noise_dominated_gradient(run: Run) -> Iterator[Finding]:
    sizes = list(batch_sizes(run))
    by_series = list(_watched(run, sizes))
    yield from by_series
    if not by_series:
        yield from (finding for size in sizes for finding in _probed(run, size))


def _probed(run: Run, size: BatchSize) -> Iterator[Finding]:
    """What the noise scale says alone."""
    begin = f"a batch of {size.batch:.4g} for {shown(size.model, 24)} is"
    if size.far_below:
        below = size.low / size.batch
        message = f"{begin} {below:.3g} times below its noise scale: a larger one saves steps"
        evidence = Evidence.of_fact(run, size.low_fact, ">", size.batch)
    elif size.far_above:
        above = size.batch / size.high if size.high > 0 else size.batch
        message = f"{begin} {above:.3g} times above its noise scale: a smaller one would do"
        evidence = Evidence.of_fact(run, size.high_fact, "<", size.batch)
    else:
        return
    yield Finding("OPT008", size.model, message, (evidence,), "info")


def _watched(run: Run, sizes: list[BatchSize]) -> Iterator[Finding]:
    if run.facts.get("step/unit") == "epoch":  # means of epochs tell nothing
        return
    enough = len(sizes) == 1 and sizes[0].above  # of samples, for noise to rule
    further = [Evidence.of_fact(run, s.low_fact, ">", s.batch) for s in sizes if s.below]
    for agreement in run.matching("gradient_agreement/*"):
        name = where_of(agreement.name)
        late = _second_half(agreement)
        floor = _second_half(run.series.get(f"noise_floor/{name}"))
        if length(agreement) < FOR_STEPS or len(late) < 2:
            continue
        agree = float(late.value.mean())
        if agree > ALIKE and lone_losses(run):
            yield Finding(
                "OPT008",
                where=name,
                message=(
                    f"gradients of {shown(name)} agree by {agree:.2g} from step to step: "
                    f"a smaller batch would give the same"
                ),
                evidence=(_only(agreement, agree, ">", ALIKE),),
                severity="info",
            )
        noisy = abs(agree) < AGREE and not enough
        held = _held_up(run, floor) if noisy and len(floor) > 1 else None
        if held is not None:
            loss, share = held
            yield Finding(
                "OPT008",
                where=name,
                message=(
                    f"noise of {shown(name, 24)} holds {shown(loss.name, 24)} up by {share:.0%}: "
                    f"gradients of steps in a row agree by {agree:.2g}"
                ),
                evidence=(
                    _only(agreement, agree, "<", AGREE),
                    _only(floor, share, ">", FLOOR),
                    *further,
                ),
            )


def _held_up(run: Run, floor: Series) -> tuple[Series, float] | None:
    """The one loss of the run and the share of it that is noise, where it has settled so."""
    losses = lone_losses(run)
    loss = _second_half(losses[0]) if len(losses) == 1 else floor
    if loss is floor or len(loss) < 2:
        return None
    third, last = (_mean(half) for half in np.array_split(loss.value, 2))
    share = _mean(floor.value) / _mean(loss.value) if _mean(loss.value) > 0 else 0.0
    if not (FLOOR < share < 1 and last > SETTLED * third):
        return None
    if end_level(floor) <= GONE * last:  # the rate has fallen, and the noise with it
        return None
    return (loss, share) if last > LEFT * start_level(losses[0]) else None


def _mean(value: Floats) -> float:
    with np.errstate(over="ignore"):
        return float(np.mean(value))


def _second_half(series: Series | None) -> Series:
    clean = finite(series) if series is not None else Series("", np.array([]), np.array([]))
    if len(clean) < 2:
        return clean
    return from_step(clean, int(clean.step[0]) + (length(clean) + 1) // 2)


def _only(series: Series, value: float, op: str, limit: float) -> Evidence:
    """A mean over the second half as evidence: a series of one reading at its end."""
    last = int(series.step[-1])
    mean = Series(f"{series.name} (mean)", np.array([last]), np.array([value]))
    return Evidence(mean, ">" if op == ">" else "<", limit, (last, last))
