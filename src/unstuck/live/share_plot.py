"""How the terms of a loss share it over time: areas stacked to one whole."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from unstuck.records import Floats, Run, Series
from unstuck.report import svg
from unstuck.report.scale import Scale
from unstuck.report.story import step_axis
from unstuck.report.text import clean, counted, number

WIDTH, HEIGHT = 432, 226
FRAME = svg.Frame(left=46, top=12, right=424, bottom=178)
COLUMNS = 300
MOST_TERMS = 6  # areas that stay distinguishable; the smallest beyond are taken together
KINDS = {"share": "Value", "gradient_share": "Gradient"}


@dataclass(frozen=True, slots=True)
class Shares:
    """The stacked areas of one loss: what is shared, the drawing, its legend from the bottom up."""

    loss: str
    kind: str
    plot: Markup
    legend: list[tuple[str, str]]  # term, its last share


def share_plots(run: Run) -> list[Shares]:
    """One plot for each loss and kind of share, the value's beside the gradient's."""
    groups: dict[tuple[str, str], list[tuple[str, Series]]] = {}
    for name, series in run.series.items():
        what, *where = name.split("/")
        if what in KINDS and len(where) >= 2 and len(series):
            groups.setdefault((where[0], what), []).append(("/".join(where[1:]), series))
    ordered = sorted(groups.items(), key=lambda g: (g[0][0], g[0][1] != "share"))
    largest: dict[str, dict[str, float]] = {}  # one order of terms, and so colours, for both kinds
    for (loss, _), terms in ordered:
        largest.setdefault(loss, {term: -float(np.nansum(s.value) / len(s)) for term, s in terms})
    plots = []
    for (loss, what), terms in ordered:
        rank = largest[loss]
        terms.sort(key=lambda term: rank.get(term[0], 0.0))
        plots.append(_shares(loss, what, terms, step_axis(run)))
    return plots


def _shares(loss: str, what: str, terms: Sequence[tuple[str, Series]], axis: str) -> Shares:
    steps, values = stacked([series for _, series in terms])
    names = [clean(term, 40) for term, _ in terms]
    if len(names) > MOST_TERMS:
        rest = values[MOST_TERMS - 1 :].sum(axis=0, keepdims=True)
        values = np.concatenate((values[: MOST_TERMS - 1], rest))
        left = counted(len(names) - MOST_TERMS + 1, "smaller term")
        names = [*names[: MOST_TERMS - 1], left]
    xs = Scale(float(steps[0]), float(max(steps[-1], steps[0] + 1)), FRAME.left, FRAME.right)
    ys = Scale(0.0, 1.0, FRAME.bottom, FRAME.top)
    kind = KINDS[what]
    last = [f"{100 * v:.3g} %" if np.isfinite(v) else "" for v in values[:, -1]]
    told = ", ".join(f"{name} {share}" for name, share in zip(names, last, strict=True))
    plot = svg.drawing(
        WIDTH,
        HEIGHT,
        f"{kind} of {clean(loss, 60)} by term",
        f"At step {number(float(steps[-1]))}: {told}",
        *_areas(steps, values, xs, ys),
        *FRAME.grid(ys, 4),
        *FRAME.steps(xs, axis, 6),
        **svg.axes(xs, ys),
    )
    return Shares(clean(loss, 60), kind, plot, list(zip(names, last, strict=True)))


def stacked(series: Sequence[Series]) -> tuple[NDArray[np.int64], Floats]:
    """The steps of columns (n,) and each term's mean share in them (terms, n).

    A term that was not read where others were has no share there. A column in which a share is not
    finite has none at all.
    """
    steps = np.unique(np.concatenate([s.step for s in series]))
    values = np.zeros((len(series), steps.size))
    for row, one in zip(values, series, strict=True):
        row[np.searchsorted(steps, one.step)] = one.value
    if steps.size > COLUMNS:
        edges = np.linspace(steps[0], steps[-1] + 1, COLUMNS + 1)
        starts = np.unique(np.searchsorted(steps, edges[:-1]))
        counts = np.diff(np.append(starts, steps.size))
        values = np.add.reduceat(values, starts, axis=1) / counts
        steps = steps[starts]
    bad = ~np.isfinite(values).all(axis=0)
    values[:, bad] = np.nan
    return steps, values


def _areas(steps: NDArray[np.int64], values: Floats, xs: Scale, ys: Scale) -> list[Markup]:
    """The areas between cumulative lines, in pieces where shares are not finite."""
    top = np.cumsum(values, axis=0)
    bottom = np.vstack((np.zeros(steps.size), top[:-1]))
    whole = np.isfinite(values).all(axis=0).astype(np.int8)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], whole, [0])))).reshape(-1, 2)
    parts = []
    for i in range(len(values)):
        for a, b in edges:
            x = _with_width(xs(steps[a:b].astype(np.float64)))
            up, down = ys(np.resize(top[i, a:b], x.size)), ys(np.resize(bottom[i, a:b], x.size))
            parts.append(
                _polygon(np.concatenate((x, x[::-1])), np.concatenate((up, down[::-1])), i)
            )
    return parts


def _with_width(x: Floats) -> Floats:
    """One reading alone is an area, too."""
    return x if x.size > 1 else np.array([x[0] - 1, x[0] + 1])


def _polygon(x: Floats, y: Floats, term: int) -> Markup:
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    return svg.tag("polygon", points=points, class_=f"area a{term}")
