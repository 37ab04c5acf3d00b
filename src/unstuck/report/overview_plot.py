"""Several series in one plot, told apart by colour, dash and a legend."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from unstuck.records import Run, Series
from unstuck.report import svg
from unstuck.report.evidence_plot import curve
from unstuck.report.scale import Scale, fitted
from unstuck.report.story import step_axis, unit_in_words
from unstuck.report.text import clean, counted, number

WIDTH, HEIGHT = 432, 226
FRAME = svg.Frame(left=52, top=26, right=424, bottom=178)
MOST_LINES = 6  # colours that stay distinguishable without colour vision
MOST_PLOTS = 12


def overview(run: Run) -> tuple[list[tuple[str, Markup, list[str]]], int]:
    """(title, plot, legend) for losses, terms, shares, metrics, rates; how many were left out."""
    found, axis = groups(run), step_axis(run)
    plots = [
        (title, overlaid(title, series, shares, axis), [clean(label, 60) for label, _ in series])
        for title, series, shares in found[:MOST_PLOTS]
    ]
    return plots, max(0, len(found) - MOST_PLOTS)


def groups(run: Run) -> list[tuple[str, list[tuple[str, Series]], bool]]:
    """(title, labelled series, whether they are shares of one whole), in reading order."""
    found: dict[str, list[tuple[str, Series]]] = {}
    shares = set()
    for series in (s for s in run.series.values() if len(s)):
        what, *where = series.name.split("/")
        if what == "loss" and where:
            title, label = "Losses", "/".join(where)
        elif what in ("term", "share", "gradient_share") and len(where) == 2:
            title, label = f"{TITLES[what]} of {clean(where[0], 60)}", where[1]
        elif what == "metric" and len(where) >= 2:
            title, label = f"Metric {clean('/'.join(where[1:]), 60)}", where[0]
        elif what == "lr" and where:
            title, label = "Learning rates", "/".join(where)
        else:
            continue
        found.setdefault(title, []).append((label, series))
        if what.endswith("share"):
            shares.add(title)
    ranked = sorted(found.items(), key=lambda g: (_rank(g[0]), g[0]))
    return [(title, series, title in shares) for title, series in ranked]


TITLES = {"term": "Terms", "share": "Shares of value", "gradient_share": "Shares of gradient"}
ORDER = ("Losses", "Metric", "Terms", "Shares of value", "Shares of gradient", "Learning rates")


def _rank(title: str) -> int:
    return next(i for i, start in enumerate(ORDER) if title.startswith(start))


def overlaid(title: str, labelled: Sequence[tuple[str, Series]], shares: bool, axis: str) -> Markup:
    """Curves over one pair of axes; `shares`: from nothing to all."""
    shown = [series for _, series in labelled[:MOST_LINES]]
    values = np.concatenate([s.value for s in shown])
    low, high = FRAME.bottom, FRAME.top
    ys = Scale(0.0, 1.0, low, high) if shares else fitted(values, low, high)
    frame = FRAME.beside(ys, 4)
    steps = np.concatenate([s.step[[0, -1]] for s in shown]).astype(float)
    xs = Scale(steps.min(), max(steps.max(), steps.min() + 1), frame.left, frame.right)
    parts = [*frame.grid(ys, 4), *frame.steps(xs, axis, 6)]
    parts.append(svg.text(0, 12, unit_in_words(shown[0].name), "label"))
    for i, series in enumerate(shown):
        parts += curve(series, xs, ys, frame, f"line s{i}")
    return svg.drawing(WIDTH, HEIGHT, title, _about(labelled), *parts, **svg.axes(xs, ys))


def _about(labelled: Sequence[tuple[str, Series]]) -> str:
    told = [
        f"{clean(label, 60)} from {number(s.value[0])} to {number(s.value[-1])}"
        for label, s in labelled[:MOST_LINES]
    ]
    left = len(labelled) - MOST_LINES
    return "; ".join(told) + (f"; {counted(left, 'more line')} not drawn" if left > 0 else "")
