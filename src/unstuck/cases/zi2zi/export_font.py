"""A font file of characters in the hand that a run has learnt.

    unstuck case zi2zi export-font runs/zi2zi --charset gb2312-l1 --out my.ttf --name "My Kai"

An .otf has cubic outlines, a .ttf quadratic ones. Characters stand where the source font has them.
What is drawn comes of two fonts: their licences say what may be done with it. The OFL asks that a
derived font is under the OFL too, and does not bear a reserved name.
"""

import argparse
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.t2CharStringPen import T2CharStringPen
from fontTools.pens.ttGlyphPen import TTGlyphPen

from unstuck.cases.zi2zi import sample
from unstuck.cases.zi2zi.infer import Hand, Sources, batches, hand, parser, sources, wanted
from unstuck.cases.zi2zi.recipe import Recipe
from unstuck.cases.zi2zi.tracing import Outline, draw, outlines
from unstuck.data.package import PackageError

EM, ASCENT, DESCENT = 1000, 880, -120  # units, as CJK fonts have them
MOST = 65_000  # glyphs of a font file
NAME = "Drawn Hand"
LONGEST = 40  # letters of a name; more do not fit old programs
KINDS = (".ttf", ".otf")


def family(name: str) -> str:
    """A name that a font may bear; ValueError where it may not."""
    if not 0 < len(name.strip()) <= LONGEST or not name.isprintable():
        raise ValueError(f"--name needs 1 to {LONGEST} printable letters, got {name[:80]!r}")
    return name.strip()


def origin(found: Sources, recipe: Recipe) -> tuple[float, float]:
    """Where (0, 0) px of the pictures lies in the em, units: as the source font has it.

    Without a font the middle of the pictures is that of the em.
    """
    scale = EM / size_of(found)
    x, y = (EM / 2, (ASCENT + DESCENT) / 2)
    if found.layout is not None and found.layout.middle is not None:
        x, y = found.layout.middle[0] * scale, -found.layout.middle[1] * scale
    half = recipe.size / 2
    return x - (half + recipe.target_x) * scale, y + (half + recipe.target_y) * scale


def size_of(found: Sources) -> int:
    """Size of the source font in the pictures, px an em."""
    return found.layout.char_size if found.layout else sample.CHAR_SIZE


def advances(found: Sources) -> list[int]:
    """Widths of the characters, units: those of the source font, or an em."""
    if found.face is None:
        return [EM] * len(found.characters)
    font = found.face.at(size_of(found))
    return [round(font.getlength(c) * EM / size_of(found)) for c in found.characters]


def write(
    lines: Mapping[str, Sequence[Outline]],
    scale: float,
    place: tuple[float, float],
    widths: Sequence[int],
    name: str,
    file: Path,
) -> None:
    """A font of outlines by character, whole or not at all; ValueError for another ending.

    `scale` is units a px, `place` is where (0, 0) px lies, `widths` are of the characters in order.
    """
    if file.suffix.lower() not in KINDS:
        raise ValueError(f"--out needs a name that ends in {' or '.join(KINDS)}, got {file.name}")
    if len(lines) > MOST:
        raise ValueError(f"{len(lines)} characters: a font file holds up to {MOST}")
    quadratic = file.suffix.lower() == ".ttf"
    names = {c: f"u{ord(c):04X}" if ord(c) > 0xFFFF else f"uni{ord(c):04X}" for c in lines}
    extra = [] if " " in lines else ["space"]
    builder = FontBuilder(EM, isTTF=quadratic)
    builder.setupGlyphOrder([".notdef", *extra, *names.values()])
    cmap = {ord(c): glyph for c, glyph in names.items()}
    builder.setupCharacterMap(cmap | ({32: "space"} if extra else {}))
    wide = [EM, *[EM // 2 for _ in extra], *widths]
    drawn = [(), *[() for _ in extra], *lines.values()]
    glyphs = {
        glyph: _glyph(some, scale, place, width, quadratic)
        for glyph, some, width in zip(builder.font.getGlyphOrder(), drawn, wide, strict=True)
    }
    _tables(builder, glyphs, dict(zip(glyphs, wide, strict=True)), name, quadratic)
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        builder.save(beside)
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


def _glyph(
    lines: Sequence[Outline],
    scale: float,
    place: tuple[float, float],
    width: int,
    quadratic: bool,
) -> object:
    pen = TTGlyphPen(None) if quadratic else T2CharStringPen(width, None)
    draw(lines, pen, scale, place, backwards=not quadratic)
    return pen.glyph() if quadratic else pen.getCharString()


def _tables(
    builder: FontBuilder, glyphs: dict[str, Any], widths: dict[str, int], name: str, ttf: bool
) -> None:
    letters = re.sub(r"[^A-Za-z0-9]", "", name) or "Drawn"
    if ttf:
        builder.setupGlyf(glyphs)
        left = {glyph: outline.xMin if outline.numberOfContours else 0
                for glyph, outline in builder.font["glyf"].glyphs.items()}  # fmt: skip
    else:
        builder.setupCFF(f"{letters}-Regular", {"FullName": f"{letters} Regular"}, glyphs, {})
        boxes = {glyph: char.calcBounds(None) for glyph, char in glyphs.items()}
        left = {glyph: round(box[0]) if box else 0 for glyph, box in boxes.items()}
    builder.setupHorizontalMetrics({glyph: (widths[glyph], left[glyph]) for glyph in glyphs})
    builder.setupHorizontalHeader(ascent=ASCENT, descent=DESCENT)
    builder.setupNameTable(
        {
            "familyName": name,
            "styleName": "Regular",
            "uniqueFontIdentifier": f"{letters}-Regular",
            "fullName": f"{name} Regular",
            "psName": f"{letters}-Regular",
            "version": "Version 1.000",
        }
    )
    builder.setupOS2(
        sTypoAscender=ASCENT, sTypoDescender=DESCENT, sTypoLineGap=0, usWinAscent=ASCENT,
        usWinDescent=-DESCENT, fsType=0,
    )  # fmt: skip
    builder.setupPost(keepGlyphNames=False)


def export(own: Hand, found: Sources, name: str, file: Path, size: int = 64) -> list[str]:
    """Draws, traces and writes the characters; those left out, as nothing was drawn for them."""
    lines: dict[str, list[Outline]] = {}
    for part in batches(len(found.characters), size, "drawing and tracing"):
        drawn = own.draw(found.pictures[part])
        for character, picture in zip(found.characters[part], drawn, strict=True):
            lines[character] = outlines(picture)
    rows = [i for i, c in enumerate(found.characters) if lines[c]]
    if not rows:
        raise ValueError(f"{own.run} draws nothing for these characters: is it trained?")
    place, widths = origin(found, own.recipe), advances(found)
    inked = {found.characters[i]: lines[found.characters[i]] for i in rows}
    write(inked, EM / size_of(found), place, [widths[i] for i in rows], name, file)
    return [c for c in found.characters if not lines[c]]


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        torch.set_num_threads(1)
        name = family(options.name)
        if options.out.suffix.lower() not in KINDS:
            raise ValueError(f"--out needs a name that ends in .ttf or .otf, got {options.out}")
        chars = wanted(options.text, options.charset)
        own = hand(options.run, options.style)
        found = sources(own.recipe, chars, options.source)
        empty = export(own, found, name, options.out)
        if found.lacking or empty:
            print(
                f"left out: {len(found.lacking)} that the source lacks, {len(empty)} drawn blank",
                file=sys.stderr,
            )
        count = len(found.characters) - len(empty)
        print(f"{options.out}: {count} characters, {options.out.stat().st_size / 1e6:.1f} MB")
        print("The licences of the source and the target font hold for it; see to them yourself.")
    except (OSError, ValueError, PackageError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    options = parser("export-font", __doc__ or "")
    options.add_argument("--out", type=Path, required=True, help="FILE.ttf or FILE.otf")
    options.add_argument("--name", default=NAME, help=f"of the family; default {NAME}")
    return options


if __name__ == "__main__":
    sys.exit(main())
