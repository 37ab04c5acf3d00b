"""Rates in use against the usable ones, which the probe learning-rate-range has measured."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from unstuck.records import Evidence, Run
from unstuck.signals.games import lone_losses
from unstuck.signals.known import from_the_start
from unstuck.signals.levels import end_level
from unstuck.signals.probed import number, told_of

# 6 models x 2 optimizers x 10 or 11 rates, 400 steps each, probed at step 0 and 200 (LOG.md).
ABOVE = 1.5  # times the highest at the start; runs that learned up to 0.9, none from 1.5 up
FAR_ABOVE = 10.0  # times the highest later on, where runs that learned had up to 4.7
BELOW = 150.0  # times below the lowest; runs that crept 170 and more, ones that halved it up to 78
FRESH = 10  # steps made by an optimizer that is at its start
NO_BETTER = 0.9  # of the first loss; runs at rates too high ended at 0.93 and more


@dataclass(frozen=True, slots=True)
class Placed:
    """A rate that is out of the usable range by a factor; `told`: a loss has shown the harm."""

    model: str
    now: float
    border: float
    factor: float
    evidence: Evidence
    told: bool


def too_high(run: Run) -> Iterator[Placed]:
    """Rates far above the highest usable one, unless a loss has fallen at them all the same.

    Later in a training only where a loss is recorded: near its floor no rate lowers it much.
    """
    better = _loss_is_better(run)
    for model, of in told_of(run, "rate").items():
        now, high = number(of, "now", 0.0), number(of, "high", math.nan)
        steps = number(of, "steps", math.inf)  # plain SGD counts none
        fresh = steps <= FRESH
        limit = ABOVE if fresh else FAR_ABOVE
        late = FRESH < steps < math.inf and better is None
        if better or late or not now > limit * high > 0:
            continue
        claim = from_the_start if fresh else Evidence.of_fact
        evidence = claim(run, f"rate/{model}/now", ">", limit * high)
        yield Placed(model, now, high, now / high, evidence, better is False)


def too_low(run: Run) -> Iterator[Placed]:
    """Rates far below the lowest usable one from the start, that no schedule is seen to raise."""
    better = _loss_is_better(run)
    raised = max((float(s.value.max()) for s in run.matching("lr/*") if len(s)), default=0.0)
    for model, of in told_of(run, "rate").items():
        now, low = number(of, "now", 0.0), number(of, "low", math.nan)
        planned = max(now, number(of, "planned", 0.0), raised)
        fresh = number(of, "steps", math.inf) <= FRESH
        bottomless = number(of, "progress", 0.0) > 1  # below zero: half of the best means nothing
        if better or bottomless or not fresh or not 0 < planned * BELOW < low:
            continue
        evidence = from_the_start(run, f"rate/{model}/now", "<", low / BELOW)
        yield Placed(model, now, low, low / planned, evidence, better is False)


@dataclass(frozen=True, slots=True)
class Best:
    """The rate that took most off a loss in a few steps, and the one in use."""

    value: float
    now: float


def best_rate(run: Run, optimizers: Sequence[str]) -> Best | None:
    """The best rate, to two digits, where it was measured of the run's one model and optimizer."""
    told = list(told_of(run, "rate").values())
    if len(told) != 1 or len(optimizers) != 1:
        return None
    best, now = number(told[0], "best", 0.0), number(told[0], "now", 0.0)
    return Best(float(f"{best:.2g}"), now) if 0 < best < math.inf and now > 0 else None


def _loss_is_better(run: Run) -> bool | None:
    """Whether a loss has fallen since its first reading; None where none is recorded."""
    losses = [s for s in lone_losses(run) if len(s) > 1 and s.value[0] > 0]
    if not losses:
        return None
    return any(end_level(s) < NO_BETTER * float(s.value[0]) for s in losses)
