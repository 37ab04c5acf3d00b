"""From a grey picture of a character to its outline.

Marching squares (Lorensen and Cline, 1987; scikit-image) follow the line where the picture is half
ink: grey edges place it to a fraction of a pixel. Points that a straight line does without are left
out (Douglas and Peucker, 1973), and what turns gently becomes a quadratic curve, as TrueType has.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from fontTools.pens.basePen import AbstractPen
from numpy.typing import NDArray
from scipy.ndimage import zoom
from skimage.measure import approximate_polygon, find_contours

FINER = 3  # the picture is made so many times larger, by cubic splines
TOLERANCE = 0.12  # px by which a point may be off the line that does without it
CORNER = 50.0  # degrees: what turns more is a corner
REACH = 1.5  # px at most on both sides of a point that its curve takes
SPECK = 1.5  # px^2: smaller spots and holes are left out

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Outline:
    """A closed line: corners (k, 2), x to the right and y down, in px; which of them are sharp.

    Ink lies to the same side of all lines of a picture, so that holes run the other way round.
    """

    points: Points
    sharp: NDArray[np.bool_]


def outlines(picture: NDArray[np.uint8]) -> list[Outline]:
    """The outlines of a picture (s, s), 0 ink and 255 paper; none where there is no ink.

    Places are those of the picture: its left upper corner is (0, 0), the right lower one (s, s).
    """
    ink = np.pad(1 - picture.astype(np.float64) / 255, 2)
    side = len(ink)
    fine = zoom(ink, FINER, order=3, mode="nearest", grid_mode=True)
    fine = np.pad(np.clip(fine, 0, 1), 1)  # every line closes
    found = []
    for line in find_contours(fine, 0.5):
        points = (line[:, ::-1] - 1 + 0.5) * side / (side * FINER) - 2
        if abs(area(points[:-1])) < SPECK:
            continue
        points = approximate_polygon(points, TOLERANCE)[:-1]
        if len(points) > 2:
            found.append(Outline(points, turns(points) > CORNER))
    return found


def area(points: Points) -> float:
    """Area that a closed line encloses, px^2; its sign tells which way round it runs."""
    x, y = points.T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def turns(points: Points) -> Points:
    """By how much a closed line turns at each point (k,), degrees."""
    before, after = points - np.roll(points, 1, 0), np.roll(points, -1, 0) - points
    angle = np.arctan2(after[:, 1], after[:, 0]) - np.arctan2(before[:, 1], before[:, 0])
    return np.abs(np.degrees((angle + np.pi) % (2 * np.pi) - np.pi))


def draw(
    lines: Sequence[Outline],
    pen: AbstractPen,
    scale: float,
    origin: tuple[float, float],
    backwards: bool = False,
) -> None:
    """Outlines in a font's units: `scale` units a px, `origin` is where (0, 0) px lies; y is up.

    Ink lies to the right of the line, as TrueType has it, or `backwards` to the left, as
    PostScript has it.
    """
    total = sum(area(line.points) for line in lines)
    for line in lines:
        points = line.points * (scale, -scale) + origin
        # y is turned: a positive area runs clockwise on a page whose y is up
        sharp = line.sharp
        if (total > 0) == backwards:
            points, sharp = points[::-1], sharp[::-1]
        _draw(points, sharp, pen, REACH * scale)


def _draw(points: Points, sharp: NDArray[np.bool_], pen: AbstractPen, reach: float) -> None:
    ahead = np.roll(points, -1, 0) - points
    length = np.hypot(*ahead.T)[:, None]
    part = np.minimum(0.5, reach / np.maximum(length, 1e-9))
    leaving = points + ahead * part  # where the curve at a point ends
    reaching = np.roll(points + ahead * (1 - part), 1, 0)  # where it begins
    start = points[0] if sharp[0] else leaving[0]
    pen.moveTo(_place(start))
    for i in [*range(1, len(points)), 0]:
        if sharp[i]:
            pen.lineTo(_place(points[i]))
        else:
            pen.lineTo(_place(reaching[i]))
            pen.qCurveTo(_place(points[i]), _place(leaving[i]))
    pen.closePath()


def _place(point: Points) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))
