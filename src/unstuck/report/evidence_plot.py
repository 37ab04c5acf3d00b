"""One evidence drawn exactly as it is claimed: the series, the limit, the span."""

import numpy as np
from markupsafe import Markup

from unstuck.records import Evidence, Floats, Series
from unstuck.report import svg
from unstuck.report.scale import LARGEST, Scale, fitted
from unstuck.report.story import axis_label, claim
from unstuck.report.text import clean, counted, number
from unstuck.report.thin import outline

WIDTH, HEIGHT = 864, 240
FRAME = svg.Frame(left=62, top=30, right=732, bottom=190)
COLUMNS = 400  # two points each: a line of at most 800 points, however long the series
LINE_GAP = 15  # pixels between two labels at the right edge


def evidence_plot(evidence: Evidence, axis: str = "training step") -> Markup:
    """A line plot over `axis`; a number line where there is only one reading."""
    series = evidence.series
    if len(series) == 1 and evidence.op != "not finite" and np.isfinite(series.value[0]):
        return _number_line(evidence, float(series.value[0]))
    ys = fitted(_values_to_show(evidence), FRAME.bottom, FRAME.top)
    frame = FRAME.beside(ys, 4)
    xs = _step_scale(evidence, frame)
    parts = [
        _shade(evidence, xs, frame),
        *frame.grid(ys, 4),
        *frame.steps(xs, axis, 8),
        svg.text(0, 14, axis_label(series.name), "label"),
        *curve(series, xs, ys, frame, "line"),
    ]
    if evidence.op != "not finite":
        parts.append(_limit(evidence, ys, frame))
    parts += _edge_labels(evidence, xs, ys, frame)
    told = _title(evidence), _about(evidence)
    return svg.drawing(WIDTH, HEIGHT, *told, *parts, **svg.axes(xs, ys))


def curve(series: Series, xs: Scale, ys: Scale, frame: svg.Frame, class_: str) -> list[Markup]:
    """The line, broken at readings that are not finite, which are marked on the axis."""
    drawn = outline(series, COLUMNS)
    parts = [svg.path(list(xs(x)), list(ys(y)), class_) for x, y in drawn.pieces]
    for first, last in drawn.not_finite:
        left, right = xs.at(first), xs.at(last)
        width = max(3.0, right - left)
        parts.append(svg.rect(left - 1, frame.bottom - 6, width, 6, "hole"))
    return parts


def _step_scale(evidence: Evidence, frame: svg.Frame) -> Scale:
    steps = [*evidence.series.step[[0, -1]], *evidence.span] if len(evidence.series) else [0, 1]
    low, high = float(min(steps)), float(max(steps))
    return Scale(low, high if high > low else low + 1, frame.left, frame.right)


def _values_to_show(evidence: Evidence) -> Floats:
    value = evidence.series.value
    return value if evidence.op == "not finite" else np.append(value, evidence.limit)


def _shade(evidence: Evidence, xs: Scale, frame: svg.Frame) -> Markup:
    left, right = xs.at(evidence.span[0]), xs.at(evidence.span[1])
    width = max(2.0, right - left)
    return svg.rect(left, frame.top, width, frame.bottom - frame.top, "span")


def _limit(evidence: Evidence, ys: Scale, frame: svg.Frame) -> Markup:
    y = ys.at(evidence.limit)
    return svg.line(frame.left, y, frame.right, y, "limit")


def _edge_labels(evidence: Evidence, xs: Scale, ys: Scale, frame: svg.Frame) -> list[Markup]:
    """The limit and the last reading, written at their heights and kept apart."""
    finite = evidence.series.value[np.isfinite(evidence.series.value)]
    parts, last_y = [], None
    if finite.size and np.isfinite(evidence.series.value[-1]):
        last_y = ys.at(finite[-1])
        parts.append(svg.dot(xs.at(float(evidence.series.step[-1])), last_y, "point"))
        parts.append(svg.text(frame.right + 10, last_y + 4, number(finite[-1]), "value"))
    if evidence.op != "not finite":
        y = ys.at(evidence.limit)
        if last_y is not None and abs(y - last_y) < LINE_GAP:
            y = last_y + (LINE_GAP if y > last_y else -LINE_GAP)
        label = f"{'<' if evidence.op == '<' else '>'} {number(evidence.limit)}"
        parts.append(svg.text(frame.right + 10, y + 4, f"limit {label}", "limit-label"))
    if not np.all(np.isfinite(evidence.series.value)):
        parts.append(svg.text(frame.right + 10, frame.bottom - 1, "not finite", "hole-label"))
    return parts


def _number_line(evidence: Evidence, value: float) -> Markup:
    """One reading against its limit, the side that counts as sick shaded."""
    frame = svg.Frame(left=24, top=38, right=WIDTH - 24, bottom=58)
    around = np.array([value, evidence.limit, 0.0 if abs(value) < LARGEST else value])
    xs = fitted(around, frame.left, frame.right, pad=0.15, log=False)
    at, limit = xs.at(value), xs.at(evidence.limit)
    left, right = (limit, frame.right) if evidence.op == ">" else (frame.left, limit)
    label_at = svg.between(limit, 60, WIDTH - 60)
    value_at = svg.between(at, 30, WIDTH - 30)
    crowded = abs(label_at - value_at) < 100
    limit_label = f"limit {evidence.op} {number(evidence.limit)}"
    parts = [
        svg.rect(left, frame.top, right - left, frame.bottom - frame.top, "span"),
        *frame.steps(xs, axis_label(evidence.series.name), 8, whole=False),
        svg.line(limit, frame.top - 6, limit, frame.bottom, "limit"),
        svg.dot(at, (frame.top + frame.bottom) / 2, "point", 5.5),
        svg.text(value_at, 26 if not crowded else 12, number(value), "value", "middle"),
        svg.text(label_at, 26, limit_label, "limit-label", "middle"),
    ]
    return svg.drawing(WIDTH, 98, _title(evidence), _about(evidence), *parts)


def _title(evidence: Evidence) -> str:
    return f"{clean(evidence.series.name)} {claim(evidence)}"


def _about(evidence: Evidence) -> str:
    series = evidence.series
    if not len(series):
        return "No readings."
    return (
        f"{counted(len(series), 'reading')}, {number(series.value[0])} at step {series.step[0]:,} "
        f"to {number(series.value[-1])} at step {series.step[-1]:,}; "
        f"the shaded span is where the claim holds."
    )
