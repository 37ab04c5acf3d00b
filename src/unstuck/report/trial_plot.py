"""A trial drawn: effects with their intervals, and every run by seed."""

import math

import numpy as np
from markupsafe import Markup

from unstuck.records import Floats, Trial, Verdict
from unstuck.report import svg
from unstuck.report.scale import Scale, fitted
from unstuck.report.story import effect, interval
from unstuck.report.text import clean, number

WIDTH = 864
ROW = 40
LEFT, RIGHT = 200, 724
MOST_SEEDS = 60  # drawn; the table has them all
LEAST_ROW = 40.0  # height of an arm of few seeds
CLASSES = {"helped": "helped", "harmed": "harmed", "no difference": "same", "undecided": "open"}


def forest(trial: Trial) -> Markup:
    """Effect and interval per treatment, the zero line, and the margin of equivalence as a band."""
    plan, verdicts = trial.plan, trial.verdicts
    frame = svg.Frame(LEFT, 14, RIGHT, 22 + ROW * len(verdicts))
    ends = [x for v in verdicts for x in (v.effect, v.low, v.high) if math.isfinite(x)]
    around = np.array([*ends, 0.0, plan.margin, -plan.margin])
    xs = _with_zero(fitted(around, frame.left, frame.right, log=False), around)
    parts = []
    if plan.margin > 0:
        left, right = xs.at(-plan.margin), xs.at(plan.margin)
        parts.append(svg.rect(left, frame.top, right - left, frame.bottom - frame.top, "margin"))
    unit = clean(plan.unit, 30)
    label = f"effect on {clean(plan.metric, 40)}{f', {unit}' if unit else ''} (right is better)"
    parts += frame.steps(xs, label, 7, whole=False)
    parts.append(svg.line(xs.at(0.0), frame.top, xs.at(0.0), frame.bottom, "zero"))
    for row, verdict in enumerate(verdicts):
        parts += _verdict(verdict, plan.unit, xs, frame.top + ROW * (row + 0.5))
    about = "; ".join(_told(v, plan.unit) for v in verdicts)
    return svg.drawing(WIDTH, frame.bottom + 42, "Effects of the treatments", about, *parts)


def _with_zero(xs: Scale, around: Floats) -> Scale:
    """The same scale with room on both sides of what it shows; `fitted` may start at zero."""
    span = float(around.max() - around.min()) or 1.0
    low, high = float(around.min()) - 0.06 * span, float(around.max()) + 0.06 * span
    return Scale(low, high, xs.start, xs.end)


def _told(verdict: Verdict, unit: str) -> str:
    return (
        f"{clean(verdict.treatment.name, 60)} {verdict.word}, "
        f"{effect(verdict, unit)}, interval {interval(verdict)}"
    )


def _verdict(verdict: Verdict, unit: str, xs: Scale, y: float) -> list[Markup]:
    kind = CLASSES.get(verdict.word, "open")
    parts = [svg.text(LEFT - 14, y + 4, clean(verdict.treatment.name, 26), "name", "end")]
    if math.isfinite(verdict.effect):
        known = not (math.isnan(verdict.low) or math.isnan(verdict.high))
        low, high = (verdict.low, verdict.high) if known else (verdict.effect, verdict.effect)
        left = xs.at(max(low, xs.low))
        right = xs.at(min(high, xs.high))
        parts.append(svg.line(left, y, right, y, f"whisker {kind}"))
        for x, end in ((left, low), (right, high)):
            if math.isfinite(end) and known:
                parts.append(svg.line(x, y - 5, x, y + 5, f"whisker {kind}"))
        parts.append(svg.dot(xs.at(verdict.effect), y, f"effect {kind}", 5))
    parts.append(svg.text(RIGHT + 20, y - 2, verdict.word, f"word {kind}"))
    parts.append(svg.text(RIGHT + 20, y + 13, effect(verdict, unit), "tick"))
    return parts


def pairs_by_seed(trial: Trial) -> Markup | None:
    """Every pair: the baseline's metric as a ring, the treatment's as a dot, a line a seed."""
    ran = {outcome.seed for outcome in trial.outcomes}
    metric, seeds = trial.plan.metric, [s for s in trial.plan.seeds if s in ran][:MOST_SEEDS]
    arms = [t.name for t in trial.plan.treatments]
    value = {(o.arm, o.seed): o.metrics.get(metric, math.nan) for o in trial.outcomes}
    baseline = next((arm for arm in arms_of(trial) if arm not in arms), "")
    finite = np.array([v for v in value.values() if math.isfinite(v)])
    if not finite.size or not arms:
        return None
    step = min(8.0, max(3.0, 120 / len(seeds)))
    row = max(step * (len(seeds) - 1) + 24, LEAST_ROW)
    frame = svg.Frame(LEFT, 10, RIGHT, 10 + row * len(arms))
    xs = fitted(finite, frame.left, frame.right, log=False)
    unit, name = clean(trial.plan.unit, 30), clean(metric, 40)
    parts = frame.steps(xs, f"{name} ({unit})" if unit else name, 7, whole=False)
    for i, arm in enumerate(arms):
        top = frame.top + row * i
        parts.append(svg.line(frame.left, top, frame.right, top, "grid"))
        parts.append(svg.text(LEFT - 14, top + row / 2 + 4, clean(arm, 26), "name", "end"))
        for j, seed in enumerate(seeds):
            before, after = (value.get((a, seed), math.nan) for a in (baseline, arm))
            parts += _pair(before, after, xs, top + (row - step * (len(seeds) - 1)) / 2 + step * j)
    about = f"{len(finite)} runs, from {number(finite.min())} to {number(finite.max())} {unit}"
    return svg.drawing(WIDTH, frame.bottom + 42, "Every pair of runs", about, *parts)


def _pair(before: float, after: float, xs: Scale, y: float) -> list[Markup]:
    parts = []
    if math.isfinite(before) and math.isfinite(after):
        parts.append(svg.line(xs.at(before), y, xs.at(after), y, "thread"))
    if math.isfinite(before):
        parts.append(svg.dot(xs.at(before), y, "before", 3.0))
    if math.isfinite(after):
        parts.append(svg.dot(xs.at(after), y, "run", 3.4))
    return parts


def arms_of(trial: Trial) -> list[str]:
    """The baseline's arm first, then the treatments as planned."""
    planned = [t.name for t in trial.plan.treatments]
    others = [o.arm for o in trial.outcomes if o.arm not in planned]
    return list(dict.fromkeys([*others, *planned]))
