"""Which number a fix is judged by, and which treatments that number can judge.

In this order: the metric asked for; a number of the run's own on data it does not train on; what
an agent earns; the one training loss the script minimises. A loss can be compared only where the
treatment leaves its meaning alone: one that weighs a term anew, or repairs the loss function
itself, changes the number and the training at the same time. Two losses that play against each
other cannot be compared at all.
"""

from collections.abc import Sequence

import numpy as np

from unstuck.fixed import Kind, Yardstick
from unstuck.records import Run, Series, Treatment
from unstuck.signals.games import discriminator_losses, is_reinforcement, returns
from unstuck.signals.splits import direction
from unstuck.vocabulary import higher_is_better

WEIGHS_TERMS = {"weight", "r1", "r2"}  # live changes after which a loss is another sum
ALTERS_THE_LOSS = {"scores", "targets"}  # ... is another function of the prediction, everywhere
SMOOTHS = {"label_smoothing"}  # ... is another function of the prediction, in training alone
NOT_BY_TRAINING_LOSS = ("GEN", "COL")  # families whose sickness makes the training loss smaller
THROUGHOUT = 0.9  # share of the longest loss's readings: one that is minimised all the time


def chosen(
    run: Run, candidates: Sequence[Treatment], metric: str = "", higher: bool | None = None
) -> Yardstick:
    """The yardstick for these candidates: the first that can judge all of them, else the first
    that can judge one that answers the same cause as the first candidate; else none.
    """
    if metric:
        rises = higher_is_better(metric) if higher is None else higher
        return Yardstick(metric, rises, "asked", "asked for", _start(run, metric))
    there = yardsticks(run)
    for needed in (candidates, [t for t in candidates if t.answers == candidates[0].answers]):
        for yardstick in there:
            if all(comparable(yardstick, t) for t in needed):
                return yardstick
    return next((y for y in there if comparable(y, candidates[0])), _none(run, there))


def comparable(yardstick: Yardstick, treatment: Treatment) -> bool:
    """Whether the number means the same with the treatment and without."""
    kinds = {name.split("/")[0] for name in treatment.changes if "/" in name}
    if yardstick.kind in ("asked", "return"):
        return True
    if yardstick.kind == "none":
        return False
    if yardstick.kind == "validation":
        return not (kinds & ALTERS_THE_LOSS and not _counts(yardstick.metric))
    sick_below = any(code.startswith(NOT_BY_TRAINING_LOSS) for code in treatment.answers)
    return not (sick_below or kinds & (WEIGHS_TERMS | ALTERS_THE_LOSS | SMOOTHS))


def yardsticks(run: Run) -> tuple[Yardstick, ...]:
    """Every number of the run that a treatment could be judged by, the best first."""
    held_out = [s for s in run.matching("metric/val/*") if direction(s.name) and len(s)]
    held_out.sort(key=lambda s: (_counts(s.name), "loss" not in s.name, -len(s), s.name))
    found = [
        _yardstick(run, s, higher_is_better(s.name), "validation", "measured on held-out data")
        for s in held_out
    ]
    if is_reinforcement(run):
        earned = [s for s in returns(run) if len(s)]
        found += [_yardstick(run, s, True, "return", "what the agent earns") for s in earned[:1]]
        return tuple(found)
    losses = _minimised(run)
    if len(losses) == 1 and not discriminator_losses(run):
        why = "the training loss: nothing was measured on held-out data"
        found.append(_yardstick(run, losses[0], False, "training loss", why))
    return tuple(found)


def _yardstick(run: Run, series: Series, rises: bool, kind: Kind, why: str) -> Yardstick:
    return Yardstick(series.name, rises, kind, why, _start(run, series.name))


def _start(run: Run, metric: str) -> float | None:
    """The first finite reading of a metric, by the names under which a trial looks for it."""
    for name in (metric, f"metric/val/{metric}", f"metric/train/{metric}", f"loss/{metric}"):
        if name in run.series:
            values = run.series[name].value
            finite = values[np.isfinite(values)]
            return float(finite[0]) if len(finite) else None
    return None


def _minimised(run: Run) -> list[Series]:
    """The losses that are minimised throughout."""
    losses = [s for s in run.matching("loss/*") if len(s)]
    longest = max((len(s) for s in losses), default=0)
    return [s for s in losses if len(s) >= THROUGHOUT * longest]


def _counts(name: str) -> bool:
    """Whether a number on held-out data is no loss: accuracy, PSNR, an error in its own unit."""
    what = name.rsplit("/", 1)[-1].lower()
    return not any(word in what for word in ("loss", "entropy", "nll", "kl_div"))


def _none(run: Run, there: Sequence[Yardstick]) -> Yardstick:
    recorded = [*_minimised(run), *run.matching("loss/*"), *run.matching("lr/*")]
    metric = recorded[0].name if recorded else "loss"
    return Yardstick(metric, False, "none", _why_none(run, there))


def _why_none(run: Run, there: Sequence[Yardstick]) -> str:
    if there:
        return f"the treatments change what {there[0].metric} means"
    if is_reinforcement(run):
        return "an agent's losses say nothing about what it earns"
    if discriminator_losses(run):
        return "two losses that play against each other cannot be compared"
    count = len(_minimised(run))
    return f"{count} losses are minimised side by side" if count > 1 else "no loss was recorded"
