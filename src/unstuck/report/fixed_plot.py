"""The race of a fix drawn: every candidate's paired differences, and how far it came."""

import math

import numpy as np
from markupsafe import Markup

from unstuck.fixed import Race, Standing
from unstuck.report import svg
from unstuck.report.scale import Scale, fitted
from unstuck.report.text import clean, counted, number

WIDTH = 864
ROW = 36
LEFT, RIGHT = 210, 700
NAME, WHY = 28, 26  # characters of a label that fit


def race_plot(race: Race, metric: str) -> Markup | None:
    """One row a candidate, one dot a seed, right of zero where it was better than the untreated
    run of that seed; None where nothing was measured.
    """
    differences = [d for s in race.standings for d in s.differences.values() if math.isfinite(d)]
    if not differences:
        return None
    frame = svg.Frame(LEFT, 12, RIGHT, 20 + ROW * len(race.standings))
    xs = _scale(np.array([*differences, 0.0]), frame)
    label = f"paired difference of {clean(metric, 40)} (right is better)"
    parts = frame.steps(xs, label, 7, whole=False)
    parts.append(svg.line(xs.at(0.0), frame.top, xs.at(0.0), frame.bottom, "zero"))
    for row, standing in enumerate(_ordered(race)):
        parts += _row(standing, xs, frame.top + ROW * (row + 0.5))
    about = "; ".join(_told(s) for s in race.standings)
    return svg.drawing(WIDTH, frame.bottom + 42, "The race", about, *parts)


def _ordered(race: Race) -> list[Standing]:
    """The winner first, then who stayed longest."""
    last = len(race.seeds) + 1
    return sorted(race.standings, key=lambda s: -(s.left_after or last))


def _scale(values: "np.ndarray", frame: svg.Frame) -> Scale:
    """Room on both sides; a difference beyond the others' reach lands on the edge."""
    xs = fitted(values, frame.left, frame.right, log=False)
    span = float(values.max() - values.min()) or 1.0
    low, high = float(values.min()) - 0.06 * span, float(values.max()) + 0.06 * span
    return Scale(low, high, xs.start, xs.end)


def _row(standing: Standing, xs: Scale, y: float) -> list[Markup]:
    out = standing.left_after > 0
    name = clean(standing.treatment.name, NAME)
    parts = [svg.text(LEFT - 14, y + 4, name, "name left" if out else "name", "end")]
    finite = [d for d in standing.differences.values() if math.isfinite(d)]
    if finite:
        mean = xs.at(sum(finite) / len(finite))
        parts.append(svg.line(xs.at(0.0), y, mean, y, f"whisker {'open' if out else 'helped'}"))
    parts += [svg.dot(xs.at(d), y, "run left" if out else "run", 4.2) for d in finite]
    word = "to the confirmation" if not out else f"left after round {standing.left_after}"
    parts.append(svg.text(RIGHT + 18, y - 1, word, "word open" if out else "word helped"))
    parts.append(svg.text(RIGHT + 18, y + 12, _small(standing), "tick"))
    return parts


def _small(standing: Standing) -> str:
    failed = (
        f"failed in {standing.failed} of {len(standing.differences)}" if standing.failed else ""
    )
    return failed or clean(standing.why, WHY) or counted(len(standing.differences), "pair")


def _told(standing: Standing) -> str:
    finite = [number(d, 3) for d in standing.differences.values() if math.isfinite(d)]
    out = f"left after round {standing.left_after}" if standing.left_after else "won"
    return f"{clean(standing.treatment.name, 60)}: {', '.join(finite) or 'no difference'}, {out}"
