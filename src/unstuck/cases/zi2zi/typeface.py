"""Font files: opened with suspicion, asked what they can draw, and drawn.

FreeType draws (by Pillow), fontTools reads which characters a font claims to have. A font may claim
characters and draw nothing for them (kouzan-gyosho claims 12,204 and draws 6,367): `missing` tells
those that are absent from those that are blank.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from fontTools.ttLib import TTFont
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from unstuck.cases.zi2zi import packages

LARGEST = 200_000_000  # bytes of a font file; the largest here has 65 million
LARGEST_PACKED = 30_000_000  # bytes of a .woff2 file: FreeType unpacks it up to a hundredfold
LARGEST_SIZE = 2048  # px
PAPER = 255
INK_AT = 64  # px at which it is looked whether a character draws anything
MARGIN = 1 / 16  # of the canvas, kept free on every side
FIT = 0.99  # share of the characters whose ink keeps the margin
MEASURED = 400  # characters that size and place are measured on
END = 0.01  # share of the ink outside each of its ends
LEAST = 1e-6  # ink of a picture that has any

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Layout:
    """Where a character is drawn: all in px, right and down are positive.

    `middle` is the place, seen from where a character starts on its baseline, that lies in the
    middle of the canvas (to a whole pixel) before it is shifted by x and y. Without one the middle
    of each character's own ink does: then strokes of two fonts miss each other by chance.
    """

    size: int  # side of the canvas
    char_size: int  # em of the font
    x: int = 0
    y: int = 0
    middle: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not 8 <= self.size <= LARGEST_SIZE or not 4 <= self.char_size <= LARGEST_SIZE:
            raise ValueError(
                f"canvas of {self.size} px and characters of {self.char_size} px: "
                f"8 and 4 to {LARGEST_SIZE} are possible"
            )
        if max(abs(self.x), abs(self.y)) > self.size:
            raise ValueError(f"shift ({self.x}, {self.y}) px leaves the canvas of {self.size} px")

    def start(self, middle: tuple[float, float]) -> tuple[int, int]:
        """Where a character of that middle starts on the canvas, px; Pillow draws on whole ones."""
        x, y = (round(self.size / 2 - by) for by in middle)
        return x + self.x, y + self.y


class Typeface:
    """One face of a font file. ValueError in one line where it cannot be opened."""

    def __init__(self, path: Path, index: int = 0) -> None:
        self.path, self.index = path, index
        self._checked()
        try:
            self._sized = {INK_AT: self._opened(INK_AT)}
            family, style = self._sized[INK_AT].getname()
            self._claimed = frozenset(self._cmap())
        except Exception as error:  # any bytes may be there, and fontTools has many ways to say so
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ValueError(f"{path} is damaged or no font: {reason[:120]}") from None
        self.name = " ".join(word for word in (family, style) if word) or path.stem

    def _checked(self) -> None:
        if not self.path.is_file():
            raise ValueError(f"no font file {self.path}")
        size = self.path.stat().st_size
        with self.path.open("rb") as file:
            packed = file.read(4) in (b"wOF2", b"wOFF")
        most = LARGEST_PACKED if packed else LARGEST
        if size > most:
            raise ValueError(f"{self.path} has {size:,} bytes: fonts up to {most:,} are read")

    def _opened(self, size: int) -> ImageFont.FreeTypeFont:
        return ImageFont.truetype(
            str(self.path), size, self.index, layout_engine=ImageFont.Layout.BASIC
        )

    def _cmap(self) -> Iterable[int]:
        """Code points the face claims, after FreeType has opened it: that bounds what unpacks."""
        with (
            self.path.open("rb") as file,  # fontTools leaves files that are damaged open
            TTFont(file, fontNumber=self.index, lazy=True) as font,
        ):
            reader = font.reader
            if reader.flavor is None:
                end = max(entry.offset + entry.length for entry in reader.tables.values())
                if end > self.path.stat().st_size:
                    raise ValueError("it ends before its tables do (was it copied whole?)")
            cmap = font.getBestCmap()
            if not cmap:
                raise ValueError("it has no Unicode characters")
            return list(cmap)

    def at(self, size: int) -> ImageFont.FreeTypeFont:
        """The face at a size in px."""
        if size not in self._sized:
            self._sized[size] = self._opened(size)
        return self._sized[size]

    def box(self, char: str, size: int) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of the ink, px from where the character starts; or all 0."""
        try:  # a font's getbbox would reach as far as the character's advance
            mask, (x, y) = self.at(size).getmask2(char, anchor="ls")
        except OSError as error:
            raise ValueError(f"{self.path} is damaged at {char!r}: {error}") from None
        ink = mask.getbbox()
        return (ink[0] + x, ink[1] + y, ink[2] + x, ink[3] + y) if ink else (0, 0, 0, 0)

    def has(self, char: str) -> bool:
        """Whether the face claims the character and draws something for it."""
        return not any(self.missing([char]))

    def missing(self, chars: Iterable[str]) -> tuple[list[str], list[str]]:
        """Those the face does not claim, and those it claims and draws nothing for."""
        absent, blank = [], []
        for char in chars:
            if ord(char) not in self._claimed:
                absent.append(char)
            elif not self._inked(char):
                blank.append(char)
        return absent, blank

    def _inked(self, char: str) -> bool:
        if char not in self._known:
            self._known[char] = any(self.box(char, INK_AT))
        return self._known[char]

    @cached_property
    def _known(self) -> dict[str, bool]:
        return {}


def typeface(name: str) -> Typeface:
    """A font by the name of a package's font, or a file: "FONT.ttf", "FONTS.ttc#2" for a face.

    ValueError in one line where there is no such font or file, or it is damaged; PackageError where
    a package cannot be fetched.
    """
    if name in packages.NAMES:
        return Typeface(packages.file(name), packages.NAMES[name].face)
    path, sign, face = name.rpartition("#")
    if sign and face.isdecimal() and len(face) < 4 and not Path(name).exists():
        return Typeface(Path(path), int(face))
    if not Path(name).is_file() and not Path(name).suffix and "/" not in name:
        raise ValueError(f"no font {name!r}: it is no file, nor one of {', '.join(packages.NAMES)}")
    return Typeface(Path(name))


def drawn(face: Typeface, chars: Sequence[str], layout: Layout) -> NDArray[np.uint8]:
    """Characters (n, size, size), 0 ink and 255 paper, where the layout has them.

    What leaves the canvas is cut off. ValueError where the font is damaged at a character.
    """
    font, size, middle = face.at(layout.char_size), layout.size, layout.middle
    found = np.full((len(chars), size, size), PAPER, np.uint8)
    # a page of its own, with room for what leaves its em, is for ink that is centred later
    side, start = 3 * layout.char_size, (layout.char_size, 2 * layout.char_size)
    if middle is not None:
        side, start = size, layout.start(middle)
    for picture, char in zip(found, chars, strict=True):
        page = Image.new("L", (side, side), PAPER)
        try:
            ImageDraw.Draw(page).text(start, char, fill=0, font=font, anchor="ls")
        except OSError as error:
            raise ValueError(f"{face.path} is damaged at {char!r}: {error}") from None
        if middle is None:
            centred(np.asarray(page), picture, layout.x, layout.y)
        else:
            picture[:] = np.asarray(page)
    return found


def centred(
    page: NDArray[np.uint8], picture: NDArray[np.uint8], x: int = 0, y: int = 0, ink: int = PAPER
) -> None:
    """Puts the box of what is darker than `ink` on a page into the middle of a picture (s, s).

    It lies x px further right and y px further down; what leaves the picture is cut off.
    """
    dark = page < ink
    rows, columns = (np.flatnonzero(np.any(dark, axis=axis)) for axis in (1, 0))
    if not len(rows):
        return
    box = page[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    down, right = ((len(picture) - n) // 2 + by for n, by in zip(box.shape, (y, x), strict=True))
    box = box[max(0, -down) : len(picture) - down, max(0, -right) : len(picture) - right]
    down, right = max(0, down), max(0, right)
    picture[down : down + box.shape[0], right : right + box.shape[1]] = box


def moved(pictures: NDArray[np.uint8], x: int, y: int) -> NDArray[np.uint8]:
    """Pictures (n, s, s) moved x px right and y px down, with paper where they were."""
    if not x and not y:
        return pictures
    size = pictures.shape[-1]
    if max(abs(x), abs(y)) > size:
        raise ValueError(f"shift ({x}, {y}) px leaves the canvas of {size} px")
    found = np.full_like(pictures, PAPER)
    found[:, max(0, y) : size + min(0, y), max(0, x) : size + min(0, x)] = pictures[
        :, max(0, -y) : size - max(0, y), max(0, -x) : size - max(0, x)
    ]
    return found


def fitted(face: Typeface, chars: Sequence[str], size: int) -> int:
    """Largest size (px) at which the ink of FIT of the characters fits a canvas.

    It leaves a margin when it lies in the middle, and stays on the canvas where the font has it.
    Measured on an even choice of at most MEASURED of them, at the canvas's own size.
    """
    boxes = np.array([face.box(char, size) for char in _some(chars)], np.float64)
    boxes = boxes[boxes[:, 2] > boxes[:, 0]].reshape(-1, 2, 2)  # corners
    if not len(boxes):
        return max(4, int(size * (1 - 2 * MARGIN)))
    side = np.quantile((boxes[:, 1] - boxes[:, 0]).max(1), FIT)
    apart = np.abs(boxes - mean_of_half(boxes.mean(1)))
    reach = np.quantile(apart.max((1, 2)), FIT)
    return max(4, min(2 * size, int(size * size * min((1 - 2 * MARGIN) / side, 0.5 / reach))))


def middle(face: Typeface, chars: Sequence[str], char_size: int) -> tuple[float, float]:
    """Where the characters' ink is on average, px right of and below where a character starts.

    Measured on an even choice of at most MEASURED of them.
    """
    wide = Layout(min(2 * char_size, LARGEST_SIZE), char_size, middle=(0, 0))
    across, down = mean_of_half(middles(1 - drawn(face, _some(chars), wide) / PAPER))
    return across - wide.size / 2, down - wide.size / 2


def middles(ink: Floats) -> Floats:
    """(n, 2) of ink (n, h, w): midway between its ends, px to the right and down; nan without ink.

    An end is where END of the ink lies outside, so that a speck of a scan is none.
    """
    found = np.stack([_midway(ink.sum(1)), _midway(ink.sum(2))], 1)
    return np.asarray(np.where(ink.sum((1, 2))[:, None] < LEAST, np.nan, found))


def _midway(profile: Floats) -> Floats:
    """(n,) of the ink along one axis (n, s): ends between pixels are read off a straight line."""
    inside = np.cumsum(profile, 1) / np.maximum(profile.sum(1, keepdims=True), LEAST)
    inside = np.pad(inside, ((0, 0), (1, 0)))
    edge = np.arange(inside.shape[1])
    ends = [[float(np.interp(part, row, edge)) for part in (END, 1 - END)] for row in inside]
    return np.asarray(np.mean(np.reshape(ends, (-1, 2)), 1))


def mean_of_half(places: Floats) -> tuple[float, float]:
    """The mean of the half of the places (n, 2) that lies in the middle, in each of the two."""
    ordered = np.sort(places[np.isfinite(places).all(1)], axis=0)
    quarter = len(ordered) // 4
    x, y = ordered[quarter : len(ordered) - quarter].mean(0) if len(ordered) else (0.0, 0.0)
    return float(x), float(y)


def _some(chars: Sequence[str]) -> Sequence[str]:
    return chars[:: max(1, len(chars) // MEASURED)]
