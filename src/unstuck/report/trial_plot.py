"""A trial drawn: effects with their intervals, and every run by seed."""

import math

import numpy as np
from markupsafe import Markup

from unstuck.records import Floats, Trial, Verdict
from unstuck.report import svg
from unstuck.report.scale import Scale, fitted
from unstuck.report.story import effect, interval
from unstuck.report.text import clean, number

WIDTH = 720
ROW = 40
LEFT, RIGHT = 190, 560
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


def runs_by_seed(trial: Trial) -> Markup | None:
    """The metric of every run, one row per arm; a thin line joins the runs of one seed."""
    metric = trial.plan.metric
    arms = arms_of(trial)
    value = {(o.arm, o.seed): o.metrics.get(metric, math.nan) for o in trial.outcomes}
    finite = np.array([v for v in value.values() if math.isfinite(v)])
    if not finite.size:
        return None
    frame = svg.Frame(LEFT, 10, RIGHT, 14 + 34 * len(arms))
    xs = fitted(finite, frame.left, frame.right, log=False)
    row = {arm: frame.top + 34 * (i + 0.5) for i, arm in enumerate(arms)}
    parts = [svg.line(frame.left, y, frame.right, y, "grid") for y in row.values()]
    unit = clean(trial.plan.unit, 30)
    name = clean(metric, 40)
    parts += frame.steps(xs, f"{name}, {unit}" if unit else name, 7, whole=False)
    for seed in trial.plan.seeds:
        here = [(value.get((a, seed), math.nan), row[a]) for a in arms]
        seen = [(xs.at(v), y) for v, y in here if math.isfinite(v)]
        if seen:
            parts.append(svg.path([x for x, _ in seen], [y for _, y in seen], "thread"))
            parts += [svg.dot(x, y, "run") for x, y in seen]
    parts += [svg.text(LEFT - 14, y + 4, clean(a, 26), "name", "end") for a, y in row.items()]
    about = f"{len(finite)} runs, from {number(finite.min())} to {number(finite.max())} {unit}"
    return svg.drawing(WIDTH, frame.bottom + 42, "Every run by seed", about, *parts)


def arms_of(trial: Trial) -> list[str]:
    """The baseline's arm first, then the treatments as planned."""
    planned = [t.name for t in trial.plan.treatments]
    others = [o.arm for o in trial.outcomes if o.arm not in planned]
    return list(dict.fromkeys([*others, *planned]))
