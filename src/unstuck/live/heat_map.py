"""A statistic of every layer over time as colours: x the step, y the layers from the input on."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from unstuck.records import Floats, Run, Series
from unstuck.report import svg
from unstuck.report.scale import Scale
from unstuck.report.story import step_axis
from unstuck.report.text import clean, counted, number
from unstuck.signals.layers import layers_of

WIDTH = 864
COLUMNS = 160
LEVELS = 16  # colours
MOST_ROWS = 120
MOST_DECADES = 12  # below the largest value; smaller ones get the lowest colour
NAME = 34  # characters of a layer's name that are shown
KINDS = (
    ("grad_norm", "", "Gradient norm"),
    ("activation", "std", "Spread of activations"),
    ("update_ratio", "", "Update over weight"),
)
NO_READING, ZERO, NOT_FINITE = -1, -2, -3


@dataclass(frozen=True, slots=True)
class HeatMap:
    """One drawing: what is shown of which model, and how many layers had no room."""

    model: str
    kind: str
    plot: Markup
    left_out: int


def heat_maps(run: Run) -> list[HeatMap]:
    """A map for each model and statistic that was read in two layers or more."""
    found: dict[str, list[HeatMap]] = {}
    for what, statistic, kind in KINDS:
        for model, layers in layers_of(run, what, statistic).items():
            seen = {name: s for name, s in layers.items() if len(s)}
            if len(seen) > 1:
                found.setdefault(model, []).append(_map(model, kind, seen, step_axis(run)))
    return [one for maps in found.values() for one in maps]


def _map(model: str, kind: str, layers: Mapping[str, Series], axis: str) -> HeatMap:
    chosen = [list(layers)[i] for i in _evenly(len(layers))]
    cells, first, last = binned([layers[name] for name in chosen])
    levels, low, high = levels_of(cells)
    row = min(24.0, max(9.0, 420 / len(chosen)))
    names = [clean(name.partition(".")[2] or name, NAME) for name in chosen]
    left = max(map(len, names)) * CHARACTER + 14
    frame = svg.Frame(left, 8, WIDTH - 104, 8 + row * len(chosen))
    xs = Scale(first, max(last, first + 1), frame.left, frame.right)
    shown = svg.drawing(
        WIDTH,
        max(frame.bottom + 44, 116),
        f"{kind} by layer of {clean(model, 60)}",
        f"{counted(len(chosen), 'layer')} from the input down, {number(low)} to {number(high)}",
        svg.rect(frame.left, frame.top, frame.right - frame.left, frame.bottom - frame.top, "cell"),
        *_cells(levels, frame, row),
        *_names(names, frame, row),
        *frame.steps(xs, axis, 8),
        *_legend(frame, low, high, levels),
        **svg.axes(xs, Scale(0.0, float(len(chosen)), frame.top, frame.bottom)),
        data_rows="\n".join(names),
        data_levels=f"{low:.6g} {high:.6g} {LEVELS}",
    )
    return HeatMap(clean(model, 60), kind, shown, len(layers) - len(chosen))


CHARACTER = 6.4  # pixels of a layer's name at 11.5 px


def _evenly(count: int) -> list[int]:
    """All rows, or MOST_ROWS of them with both ends."""
    kept = np.unique(np.linspace(0, count - 1, min(count, MOST_ROWS)).round().astype(int))
    return [int(i) for i in kept]


def binned(layers: Sequence[Series]) -> tuple[Floats, float, float]:
    """Values (layers, columns), and the first and last step.

    A reading stands until the next one. Of several in a column, the one farthest from what is usual
    in its layer is kept, so that no spike is lost; one that is not finite before all.
    """
    first = min(int(s.step[0]) for s in layers)
    last = max(int(s.step[-1]) for s in layers)
    width = max(last - first, 1) / COLUMNS
    cells = np.full((len(layers), COLUMNS), np.nan)
    for row, series in zip(cells, layers, strict=True):
        at = np.minimum((series.step - first) / width, COLUMNS - 1).astype(int)
        order = np.argsort(_strangeness(series.value), kind="stable")
        row[at[order]] = np.where(np.isnan(series.value), np.inf, series.value)[order]
        held = np.maximum.accumulate(np.where(np.isnan(row), -1, np.arange(COLUMNS)))
        stands = (held >= 0) & (np.arange(COLUMNS) <= at[-1])
        row[stands] = row[held[stands]]
    return cells, float(first), float(last)


def _strangeness(value: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.log10(np.abs(value))
    usual = np.median(size[np.isfinite(size)]) if np.isfinite(size).any() else 0.0
    return np.where(np.isfinite(value), np.minimum(np.abs(size - usual), 1e3), np.inf)


def levels_of(cells: Floats) -> tuple[NDArray[np.int64], float, float]:
    """The colour of each cell, and the values at both ends of the scale."""
    size = np.abs(cells)
    positive = size[np.isfinite(size) & (size > 0)]
    high = float(positive.max()) if positive.size else 1.0
    low = float(positive.min()) if positive.size else high / 10
    low = max(low, high * 10.0**-MOST_DECADES, 1e-300)
    if math.log10(high) - math.log10(low) < 0.3:  # nearly one value: noise must not look like much
        low, high = low / 2, min(high * 2, 1e300)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (np.log10(size) - math.log10(low)) / (math.log10(high) - math.log10(low))
    level = np.clip(np.nan_to_num(share, nan=0.0, posinf=1.0, neginf=0.0), 0, 1) * LEVELS
    found = np.minimum(level, LEVELS - 1).astype(np.int64)
    found[np.isnan(cells)] = NO_READING
    found[size == 0] = ZERO
    found[np.isinf(cells)] = NOT_FINITE
    return found, low, high


def _cells(levels: NDArray[np.int64], frame: svg.Frame, row: float) -> list[Markup]:
    """All cells of one colour as one path; neighbours of one colour as one rectangle."""
    width = (frame.right - frame.left) / COLUMNS
    paths: dict[int, list[str]] = {}
    for r, line in enumerate(levels):
        y = frame.top + r * row
        starts = np.flatnonzero(np.diff(line, prepend=NOT_FINITE - 1))
        for start, end in zip(starts, np.append(starts[1:], COLUMNS), strict=True):
            x, wide = frame.left + start * width, (end - start) * width
            told = f"M{x:.1f} {y:.1f}h{wide + 0.2:.1f}v{row - 0.5:.1f}h{-wide - 0.2:.1f}z"
            paths.setdefault(int(line[start]), []).append(told)
    return [
        svg.tag("path", d="".join(d), class_=f"heat {_class(level)}")
        for level, d in sorted(paths.items())
        if level != NO_READING
    ]


def _class(level: int) -> str:
    return {ZERO: "zero-cell", NOT_FINITE: "hole"}.get(level, f"h{level}")


def _names(names: Sequence[str], frame: svg.Frame, row: float) -> list[Markup]:
    """A name beside every row, or every few rows where they are low."""
    every = max(1, math.ceil(13 / row))
    return [
        svg.text(frame.left - 8, frame.top + (i + 0.5) * row + 4, name, anchor="end")
        for i, name in enumerate(names)
        if i % every == 0
    ]


def _apart(ticks: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """The ticks from the bottom up, without those that would lie upon the one before."""
    kept: list[tuple[float, str]] = []
    for y, label in sorted(ticks, reverse=True):
        if not kept or kept[-1][0] - y >= 12:
            kept.append((y, label))
    return kept


def _legend(frame: svg.Frame, low: float, high: float, levels: NDArray[np.int64]) -> list[Markup]:
    """The colours with values from the bottom up; what has no place on the scale below them."""
    x, top = frame.right + 16, frame.top
    bottom = max(frame.bottom, top + 96) - 34
    height = (bottom - top) / LEVELS
    scale = Scale(low, high, bottom, top, log=True)
    parts = [
        svg.rect(x, bottom - (i + 1) * height, 12, height + 0.3, f"heat h{i}")
        for i in range(LEVELS)
    ]
    parts += [svg.text(x + 18, y + 4, label) for y, label in _apart(scale.ticks(4))]
    for level, label, y in ((ZERO, "zero", bottom + 18), (NOT_FINITE, "not finite", bottom + 34)):
        if (levels == level).any():
            parts.append(svg.rect(x, y - 10, 12, 12, f"heat {_class(level)}"))
            parts.append(svg.text(x + 18, y, label))
    return parts
