"""What a probe shows, drawn: a curve, bars, a heat map. A table stays text."""

import math
from dataclasses import replace

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from unstuck.experiment import Bars, Curve, HeatMap
from unstuck.records import Floats
from unstuck.report import svg
from unstuck.report.scale import CHARACTER, Scale, fitted
from unstuck.report.text import clean, counted, number

WIDTH = 864
ROW = 26
MOST_BARS = 40
MOST_PARTS = 6  # kinds of line the style sheet knows
MOST_CELLS = 96  # a side of a heat map; a larger canvas is drawn coarser
LEVELS = 12
SIDE = 460  # pixels of a heat map's longer side
SIZES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
DECADES = 4.0  # below the largest value that a heat map shows


def curve(it: Curve) -> Markup:
    """y over x, its span shaded, its marks as named vertical lines."""
    top = 48 if it.marks else 30  # the marks' names have a row of their own
    frame = svg.Frame(left=62, top=top, right=732, bottom=top + 170)
    seen = np.isfinite(it.y)
    ys = fitted(it.y, frame.bottom, frame.top)
    frame = frame.beside(ys, 4)
    around = np.array([*it.x, *(it.span or ()), *it.marks.values()], dtype=np.float64)
    xs = fitted(around, frame.left, frame.right, pad=0.02, log=it.log_x or None)
    parts: list[Markup] = []
    if it.span:
        left, right = xs.at(it.span[0]), xs.at(it.span[1])
        parts.append(svg.rect(left, frame.top, max(2.0, right - left), 170, "margin"))
    parts += [*frame.grid(ys, 4), *frame.steps(xs, clean(it.x_label, 80), 8, whole=False)]
    parts.append(svg.text(0, 14, clean(it.y_label, 80), "label"))
    parts += [svg.path(list(xs(x)), list(ys(y)), "line s0") for x, y in _pieces(it, seen)]
    parts += [svg.dot(xs.at(x), ys.at(y), "point", 2.5) for x, y in _points(it, seen)]
    parts += [svg.rect(xs.at(float(x)) - 1.5, frame.bottom - 6, 3, 6, "hole") for x in it.x[~seen]]
    parts += _marks(it, xs, frame)
    about = f"{counted(len(it.x), 'point')}"
    if it.span:
        about += f", shaded from {number(it.span[0])} to {number(it.span[1])}"
    about += "".join(f"; {clean(k, 40)} {number(v)}" for k, v in it.marks.items())
    return svg.drawing(WIDTH, frame.bottom + 46, clean(it.title), about, *parts, **svg.axes(xs, ys))


def _pieces(it: Curve, seen: NDArray[np.bool_]) -> list[tuple[Floats, Floats]]:
    """Runs of finite readings; a line is broken where there is none."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], seen, [False]])))
    return [(it.x[a:b], it.y[a:b]) for a, b in edges.reshape(-1, 2)]


def _points(it: Curve, seen: NDArray[np.bool_]) -> list[tuple[float, float]]:
    found = [(float(x), float(y)) for x, y in zip(it.x[seen], it.y[seen], strict=True)]
    return found if len(found) <= 60 else []


def _marks(it: Curve, xs: Scale, frame: svg.Frame) -> list[Markup]:
    parts, taken = [], 0.0
    for label, at in sorted(it.marks.items(), key=lambda mark: mark[1]):
        x = xs.at(at)
        told = f"{clean(label, 20)} {number(at, 3)}"
        half = len(told) * CHARACTER / 2
        middle = max(svg.between(x, half, WIDTH - half), taken + half)
        taken = middle + half + 8
        parts.append(svg.line(x, frame.top - 6, x, frame.bottom, "limit"))
        parts.append(svg.text(middle, frame.top - 12, told, "limit-label", "middle"))
    return parts


def bars(it: Bars) -> Markup:
    """One row a bar, or a group of bars; the limit as a line through all of them."""
    it = _in_gigabytes(it)
    rows = [(clean(k, 34), _parts(v)) for k, v in list(it.rows.items())[:MOST_BARS]]
    names = list(dict.fromkeys(part for _, parts in rows for part in parts))[:MOST_PARTS]
    deep = 1 if it.stacked or len(names) < 2 else len(names)
    height = ROW + (deep - 1) * 12
    left = min(300.0, max((len(k) for k, _ in rows), default=1) * CHARACTER + 18)
    top = 14 if len(names) < 2 else 34
    frame = svg.Frame(left, top, WIDTH - 96, top + 8 + height * len(rows))
    ends = [sum(p.values()) if it.stacked else max(p.values(), default=0.0) for _, p in rows]
    around = np.array([*ends, *([it.limit] if it.limit else []), *([] if it.log else [0.0])])
    xs = _from_zero(around, frame) if not it.log else fitted(around, frame.left, frame.right)
    parts = frame.steps(xs, clean(it.unit, 60), 7, whole=False)
    for index, (label, of) in enumerate(rows):
        y = frame.top + 4 + index * height
        parts.append(svg.text(left - 10, y + height / 2 + 3, label, "name", "end"))
        parts += (_stack if it.stacked else _group)(of, names, xs, y, height)
        parts.append(svg.text(xs.at(ends[index]) + 7, y + height / 2 + 3, number(ends[index], 3)))
    if it.limit is not None:
        x = xs.at(it.limit)
        parts.append(svg.line(x, frame.top - 4, x, frame.bottom, "limit"))
    parts += _key(names) if len(names) > 1 else []
    about = "; ".join(f"{k} {number(end, 3)}" for (k, _), end in zip(rows, ends, strict=True))
    if len(it.rows) > MOST_BARS:
        about += f"; {len(it.rows) - MOST_BARS} more not drawn"
    return svg.drawing(WIDTH, frame.bottom + 42, clean(it.title), about, *parts)


def _in_gigabytes(it: Bars) -> Bars:
    """Bytes as people read them."""
    if it.unit not in ("B", "bytes"):
        return it
    largest = max((sum(of.values()) for of in it.rows.values()), default=0.0)
    size, unit = next((s for s in SIZES if largest >= s[0]), (1.0, "B"))
    rows = {k: {p: v / size for p, v in of.items()} for k, of in it.rows.items()}
    limit = None if it.limit is None else it.limit / size
    return replace(it, rows=rows, unit=unit, limit=limit)


def _parts(of: object) -> dict[str, float]:
    found = dict(of) if isinstance(of, dict) else {}
    return {clean(k, 30): float(v) for k, v in found.items() if math.isfinite(float(v))}


def _from_zero(around: Floats, frame: svg.Frame) -> Scale:
    high = float(np.max(around, initial=0.0)) or 1.0
    low = min(0.0, float(np.min(around, initial=0.0)))
    return Scale(low * 1.05, high * 1.05, frame.left, frame.right)


def _stack(
    of: dict[str, float], names: list[str], xs: Scale, y: float, height: float
) -> list[Markup]:
    parts, at = [], 0.0
    for index, name in enumerate(names):
        size = of.get(name, 0.0)
        left, right = xs.at(at), xs.at(at + size)
        if right > left:
            parts.append(svg.rect(left, y + 3, right - left, height - 8, f"f{index}"))
        at += size
    return parts


def _group(
    of: dict[str, float], names: list[str], xs: Scale, y: float, height: float
) -> list[Markup]:
    each = (height - 8) / len(names)
    zero = xs.start if xs.log else xs.at(0.0)
    parts = []
    for index, name in enumerate(names):
        if name in of:
            end = xs.at(of[name])
            left, wide = min(zero, end), max(1.0, abs(end - zero))
            parts.append(svg.rect(left, y + 3 + index * each, wide, each - 1, f"f{index}"))
    return parts


def _key(names: list[str]) -> list[Markup]:
    parts, x = [], 4.0
    for index, name in enumerate(names):
        parts += [svg.rect(x, 4, 12, 12, f"f{index}"), svg.text(x + 18, 14, name)]
        x += 34 + len(name) * CHARACTER
    return parts


def heat_map(it: HeatMap) -> Markup:
    """Cells darker where the value is larger, over four decades; what is zero stays empty."""
    cells, block = _coarser(np.abs(np.nan_to_num(it.values)))
    rows, columns = cells.shape
    each = SIDE / max(rows, columns)
    high = float(cells.max())
    low = high * 10**-DECADES
    with np.errstate(divide="ignore"):
        share = (np.log10(cells) - math.log10(low or 1.0)) / DECADES if high else cells * 0
    level = np.where(cells > 0, np.clip(np.ceil(share * LEVELS), 1, LEVELS), 0).astype(int)
    parts = [svg.rect(0, 0, columns * each, rows * each, "canvas")]
    parts += _cells(level, each)
    x = columns * each + 24
    for index in range(LEVELS):
        y = (LEVELS - 1 - index) * 14.0
        parts.append(_shade(f"M{x:.1f} {y:.1f}h14v14h-14z", index + 1))
    parts += [
        svg.text(x + 22, 12, number(high, 3)),
        svg.text(x + 22, LEVELS * 14.0, number(low, 3)),
        svg.text(x, LEVELS * 14.0 + 22, clean(it.unit, 60), "label"),
    ]
    pixels = block * it.cell
    about = f"{it.values.shape[0]} x {it.values.shape[1]}, a cell is {counted(pixels, 'pixel')}"
    parts.append(svg.text(x, LEVELS * 14.0 + 42, about, "label"))
    return svg.drawing(WIDTH, max(rows * each, 240) + 4, clean(it.title), about, *parts)


def _coarser(values: Floats) -> tuple[Floats, int]:
    """At most so many cells a side, each the largest of those it stands for."""
    grid = np.atleast_2d(values)
    block = math.ceil(max(grid.shape) / MOST_CELLS)
    if block == 1:
        return grid, 1
    rows, columns = (math.ceil(n / block) * block for n in grid.shape)
    padded = np.zeros((rows, columns))
    padded[: grid.shape[0], : grid.shape[1]] = grid
    return padded.reshape(rows // block, block, columns // block, block).max((1, 3)), block


def _cells(level: NDArray[np.int64], each: float) -> list[Markup]:
    """All cells of one shade as one path; neighbours in a row as one rectangle."""
    paths: dict[int, list[str]] = {}
    for r, line in enumerate(level):
        starts = np.flatnonzero(np.diff(line, prepend=-1))
        for start, end in zip(starts, np.append(starts[1:], len(line)), strict=True):
            if line[start]:
                x, y, wide = start * each, r * each, (end - start) * each
                told = f"M{x:.1f} {y:.1f}h{wide + 0.2:.1f}v{each + 0.2:.1f}h{-wide - 0.2:.1f}z"
                paths.setdefault(int(line[start]), []).append(told)
    return [_shade("".join(d), shade) for shade, d in sorted(paths.items())]


def _shade(d: str, level: int) -> Markup:
    return svg.tag("path", d=d, class_="warm", fill_opacity=f"{0.08 + 0.92 * level / LEVELS:.2f}")
