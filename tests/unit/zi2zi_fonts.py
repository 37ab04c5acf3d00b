"""Small font files, built where a test needs one."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

EM = 1000
Boxes = Sequence[tuple[int, int, int, int]]  # left, bottom, right, top, of an em of 1,000


def font(file: Path, glyphs: Mapping[str, Boxes], name: str = "Boxes") -> Path:
    """A TrueType font whose characters are boxes; one of no boxes is blank."""
    names = [".notdef", *(f"u{ord(char):04X}" for char in glyphs)]
    drawn = [((50, 0, 450, 700),), *glyphs.values()]
    builder = FontBuilder(EM, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(c): g for c, g in zip(glyphs, names[1:], strict=True)})
    builder.setupGlyf({g: _glyph(boxes) for g, boxes in zip(names, drawn, strict=True)})
    left = [min((box[0] for box in some), default=0) for some in drawn]
    builder.setupHorizontalMetrics({g: (EM, x) for g, x in zip(names, left, strict=True)})
    builder.setupHorizontalHeader(ascent=880, descent=-120)
    builder.setupNameTable({"familyName": name, "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=880, sTypoDescender=-120)
    builder.setupPost()
    builder.save(file)
    return file


def _glyph(boxes: Boxes) -> object:
    pen = TTGlyphPen(None)
    for left, bottom, right, top in boxes:
        pen.moveTo((left, bottom))
        for corner in ((left, top), (right, top), (right, bottom)):
            pen.lineTo(corner)
        pen.closePath()
    return pen.glyph()


def boxes(chars: str, seed: int = 0) -> dict[str, Boxes]:
    """One box for each character, each of another shape."""
    return {
        char: [(100, 0, 300 + (37 * i + 11 * seed) % 600, 200 + (53 * i + 7 * seed) % 600)]
        for i, char in enumerate(chars)
    }
