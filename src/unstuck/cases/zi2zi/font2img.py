"""Draws the pairs of two fonts as pictures, with what is left out and why.

    unstuck case zi2zi font2img --source A.ttf --target B.ttf --charset gb2312-l1 --out pairs
    unstuck case zi2zi font2img --source A.ttf --target B.ttf --target C.ttf --out pairs --sheet
    unstuck case zi2zi font2img --source A.ttf --images scans --out pairs

Each pair is one PNG, target left and source right, named by style and code point (0_U+6C38.png);
pairs.json lists them with where they were drawn. `--images` takes pictures of a hand in place of a
font, named by their character or code point: dark on light, each put into the middle as a drawn
character is. Whether pairs lie on each other is said before anything is trained on them.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from rich.progress import track

from unstuck.atomic import write_text
from unstuck.cases.zi2zi.charsets import characters
from unstuck.cases.zi2zi.command import changes_from
from unstuck.cases.zi2zi.glyphs import fonts, pictures
from unstuck.cases.zi2zi.recipe import Recipe, made
from unstuck.cases.zi2zi.registration import described, registration, warning
from unstuck.cases.zi2zi.sheet import code, sheet
from unstuck.cases.zi2zi.typeface import Layout, centred, drawn, fitted, typeface
from unstuck.data.package import PackageError

Bytes = NDArray[np.uint8]
Pair = tuple[int, str, Bytes, Bytes]  # style, character, source, target
LARGEST = 40_000_000  # px of a scan
INK = 200  # grey below which a scan is ink
ON_SHEET = 400  # pairs
KNOBS = ("char_size", "source_x", "source_y", "target_x", "target_y")
NAMED = 8  # characters that are named


def pairs_of(recipe: Recipe) -> tuple[list[Pair], Mapping[str, str], list[Layout]]:
    """Every pair of the recipe's fonts, what was left out and why, and where each font draws."""
    found = fonts(recipe)
    sources = dict(
        zip(
            chars := "".join(dict.fromkeys("".join(found.pairs))),
            drawn(found.source, chars, found.layouts[0]),
            strict=True,
        )
    )
    pairs: list[Pair] = []
    for style, (face, some) in enumerate(zip(found.targets, found.pairs, strict=True)):
        targets = drawn(face, some, found.layouts[style + 1])
        pairs += [(style, c, sources[c], t) for c, t in zip(some, targets, strict=True)]
    return pairs, found.dropped, list(found.layouts)


def pairs_with_images(
    recipe: Recipe, folder: Path
) -> tuple[list[Pair], Mapping[str, str], list[Layout]]:
    """Pairs of the source font with pictures; ValueError where there are none.

    A scan does not say where its character starts: the ink of both lies in the middle.
    """
    scans = named_pictures(folder)
    face = typeface(recipe.source)
    absent, blank = face.missing(scans)
    dropped = dict.fromkeys((*absent, *blank), f"not in {face.name}")
    chars = [c for c in scans if c not in dropped]
    if not chars:
        raise ValueError(f"{face.name} has none of the {len(scans)} characters in {folder}")
    layout = Layout(
        recipe.size,
        recipe.char_size or fitted(face, chars, recipe.size),
        recipe.source_x,
        recipe.source_y,
    )
    sources = drawn(face, chars, layout)
    targets = [scanned(scans[c], recipe, layout.char_size) for c in chars]
    pairs = [(0, c, s, t) for c, s, t in zip(chars, sources, targets, strict=True)]
    return pairs, dropped, [layout]


def named_pictures(folder: Path) -> dict[str, Path]:
    """Picture files by character (its own name, or U+6C38); ValueError where there are none."""
    if not folder.is_dir():
        raise ValueError(f"no folder {folder}")
    found: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        name = file.stem
        if name.upper().startswith("U+"):
            try:
                name = chr(int(name[2:], 16))
            except (ValueError, OverflowError):
                continue
        if len(name) == 1 and file.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp", ".bmp"):
            found[name] = file
    if not found:
        raise ValueError(f"{folder} has no picture that is named by its character, or U+6C38.png")
    return found


def scanned(file: Path, recipe: Recipe, char_size: int) -> Bytes:
    """A picture (s, s), its ink in the middle; a scan's longer side is that of the fonts' em."""
    try:
        with Image.open(file) as opened:
            if opened.width * opened.height > LARGEST:
                raise ValueError(f"{file} has more than {LARGEST:,} px")
            grey = opened.convert("L")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise ValueError(f"{file} is no picture that can be read: {str(error)[:100]}") from None
    scale = char_size / max(grey.size)
    sides = [max(1, round(side * scale)) for side in grey.size]
    page = np.asarray(grey.resize((sides[0], sides[1]), Image.Resampling.BOX))
    picture = np.full((recipe.size, recipe.size), 255, np.uint8)
    centred(page, picture, recipe.target_x, recipe.target_y, INK)
    return picture


def write(pairs: list[Pair], layouts: list[Layout], out: Path) -> None:
    """One PNG a pair, and pairs.json when all are there."""
    out.mkdir(parents=True, exist_ok=True)
    listed = []
    for style, char, source, target in track(pairs, "writing", transient=True):
        name = f"{style}_{code(char)}.png"
        beside = out / f".{name}.part"
        Image.fromarray(np.concatenate([target, source], 1)).save(beside, "png")
        beside.replace(out / name)
        listed.append({"file": name, "character": char, "style": style})
    places = [{"char_size": one.char_size, "x": one.x, "y": one.y} for one in layouts]
    page = {"size": layouts[0].size, "fonts": places, "pairs": listed}
    write_text(out / "pairs.json", json.dumps(page, ensure_ascii=False, indent=1) + "\n")


def said(pairs: list[Pair], dropped: Mapping[str, str]) -> None:
    """How many there are, what is left out and why, and how targets lie to their sources."""
    print(f"{len(pairs)} pairs")
    for why in dict.fromkeys(dropped.values()):
        some = [c for c, reason in dropped.items() if reason == why]
        dots = "..." if len(some) > NAMED else ""
        print(f"left out, {why}: {len(some)} ({''.join(some[:NAMED])}{dots})")
    source, target = (pictures(np.stack([pair[i] for pair in pairs])) for i in (2, 3))
    found = registration(source, target)
    print(warning(found) or described(found))


def parser() -> argparse.ArgumentParser:
    about = (__doc__ or "").partition("\n")[0]
    options = argparse.ArgumentParser("unstuck case zi2zi font2img", description=about)
    options.add_argument("--source", required=True, help="a font file, or a font by name")
    options.add_argument("--target", action="append", help="the same; several are styles 0, 1, ...")
    options.add_argument("--images", type=Path, help="a folder of pictures in place of a font")
    options.add_argument("--charset", help="a named set, or a UTF-8 file with the characters")
    options.add_argument("--size", type=int, help="side of the pictures, px")
    for name in KNOBS:
        options.add_argument(f"--{name.replace('_', '-')}", type=int, help="px")
    options.add_argument("--out", type=Path, required=True, help="folder for the pairs")
    options.add_argument("--sheet", action="store_true", help=f"also a sheet of {ON_SHEET} pairs")
    return options


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        if bool(options.target) == bool(options.images):
            raise ValueError("give --target or --images: what is each character paired with?")
        values = changes_from(options, ("charset", "size", *KNOBS))
        recipe = made({"target": options.source} | values)
        if options.charset:
            characters(options.charset)
        if options.images:
            pairs, dropped, layouts = pairs_with_images(recipe, options.images)
        else:
            pairs, dropped, layouts = pairs_of(recipe)
        said(pairs, dropped)
        write(pairs, layouts, options.out)
        if options.sheet:
            step = max(1, len(pairs) // ON_SHEET)
            some = pairs[::step][:ON_SHEET]
            columns = {
                "source": np.stack([p[2] for p in some]),
                "target": np.stack([p[3] for p in some]),
            }
            sheet(columns, [p[1] for p in some]).save(options.out / "sheet.png")
    except (ValueError, PackageError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
