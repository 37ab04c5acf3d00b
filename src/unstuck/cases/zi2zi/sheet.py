"""Sheets of characters: several pictures of each beside one another, with its code point below."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

PAPER, TEXT = 255, 90
GAP = 4  # px between pictures
SPACE = 14  # px between one character's pictures and the next one's, and around the sheet
LINE = 15  # px, height of a line of words
LETTERS = 11  # px
RATIO = 1.4  # width by height that is aimed at
LARGEST = 120_000_000  # px of a sheet: 9,000 characters of 64 px in one column


def sheet(columns: Mapping[str, NDArray[np.uint8]], characters: Sequence[str]) -> Image.Image:
    """A grey picture: characters in reading order, for each the pictures of all columns.

    `columns` are named pictures (n, s, s), 0 ink and 255 paper. ValueError where they are not
    equally many and large, where there are none, and where the sheet would be too large.
    """
    size = _side(columns, characters)
    cell = len(columns) * (size + GAP) - GAP
    wide, high = max(cell, _widest(characters)) + SPACE, size + LINE + SPACE
    across = _across(len(characters), wide, high)
    down = math.ceil(len(characters) / across)
    shape = (across * wide + SPACE, down * high + SPACE + LINE)
    if math.prod(shape) > LARGEST:
        raise ValueError(
            f"a sheet of {len(characters)} characters would have {math.prod(shape):,} px: "
            f"take fewer than {len(characters) * LARGEST // math.prod(shape)}"
        )
    page = Image.new("L", shape, PAPER)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(LETTERS)
    for place, name in ((p, n) for p in range(across) for n in enumerate(columns)):
        corner = SPACE + place * wide + name[0] * (size + GAP), SPACE // 2
        pen.text(corner, _cut(name[1], font, size), fill=TEXT, font=font)
    for i, character in enumerate(characters):
        left = SPACE + i % across * wide
        top = SPACE // 2 + LINE + i // across * high
        for j, pictures in enumerate(columns.values()):
            corner = left + j * (size + GAP), top
            page.paste(Image.fromarray(np.ascontiguousarray(pictures[i])), corner)
            pen.rectangle((corner[0] - 1, top - 1, corner[0] + size, top + size), outline=220)
        pen.text((left, top + size + 1), code(character), fill=TEXT, font=font)
    return page


def code(character: str) -> str:
    """
    >>> code("永")
    'U+6C38'
    """
    return " ".join(f"U+{ord(c):04X}" for c in character)


def _side(columns: Mapping[str, NDArray[np.uint8]], characters: Sequence[str]) -> int:
    """Side of the pictures, px; ValueError where they make no sheet."""
    if not columns or not characters:
        raise ValueError("a sheet needs characters, and pictures of them")
    side = int(next(iter(columns.values())).shape[-1])
    for name, pictures in columns.items():
        if pictures.dtype != np.uint8 or pictures.shape != (len(characters), side, side):
            raise ValueError(
                f"{name!r} holds {pictures.dtype} of shape {pictures.shape}, not uint8 pictures of "
                f"{side} px of {len(characters)} characters"
            )
    return side


def _across(count: int, wide: int, high: int) -> int:
    """How many characters stand side by side for a page of about RATIO."""
    return max(1, min(count, round(math.sqrt(RATIO * count * high / wide))))


def _widest(characters: Sequence[str]) -> int:
    """Width of the longest code point below a character, px."""
    font = ImageFont.load_default(LETTERS)
    return math.ceil(max(font.getlength(code(c)) for c in characters))


def _cut(name: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: int) -> str:
    """A name as long as there is room for."""
    while len(name) > 1 and font.getlength(name) > width:
        name = name[:-1]
    return name
