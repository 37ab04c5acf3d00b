"""Draws characters in the hand that a run has learnt.

    unstuck case zi2zi infer runs/zi2zi --text 永和九年 --sheet page.png
    unstuck case zi2zi infer runs/zi2zi --charset gb2312-l1 --out drawn

One PNG a character, named by its code point, in a folder; characters that are there already are
kept, so that a stopped call goes on. A run that was trained on the sample draws the characters of
the sample, or with --source those of any font.
"""

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import track

from unstuck.atomic import write_text
from unstuck.cases.zi2zi import checkpoint, glyphs, sample
from unstuck.cases.zi2zi.charsets import characters
from unstuck.cases.zi2zi.glyphs import Pairs
from unstuck.cases.zi2zi.model import Generator
from unstuck.cases.zi2zi.recipe import Recipe
from unstuck.cases.zi2zi.sheet import sheet
from unstuck.cases.zi2zi.train import bytes_of, generated
from unstuck.cases.zi2zi.typeface import Layout, Typeface, drawn, fitted, middle, typeface
from unstuck.data.package import PackageError

MADE = "infer.json"  # in a folder of characters: what drew them
NAMED = 8  # characters that a message names


@dataclass(frozen=True)
class Sources:
    """What a run is shown: pictures (n, s, s) uint8 of characters, their font, those it lacks."""

    characters: tuple[str, ...]
    pictures: NDArray[np.uint8]
    lacking: tuple[str, ...]
    face: Typeface | None  # None: the sample
    layout: Layout | None


def wanted(text: str | None, charset: str | None) -> str:
    """The characters of a text, or of a charset: each once; ValueError where there are none."""
    if (text is None) == (charset is None):
        raise ValueError("say what is to be drawn: --text TEXT or --charset SET")
    if charset is not None:
        return characters(charset)
    found = "".join(dict.fromkeys(c for c in text or "" if not c.isspace() and c.isprintable()))
    if not found:
        raise ValueError("--text holds no characters that can be drawn")
    return found


def sources(recipe: Recipe, chars: str, source: str | None = None) -> Sources:
    """Characters as the run saw those it learnt; ValueError where its font has none of them.

    Another font is fitted to the canvas as the run's own was.
    """
    if source is None and recipe.source == "sample":
        return _of_sample(recipe, chars)
    if source is None:
        found = glyphs.fonts(recipe)
        face, layout = found.source, found.layouts[0]
    else:
        face = typeface(source)
        known = [c for c in sample.read()[0] if face.has(c)] or [c for c in chars if face.has(c)]
        size = recipe.char_size or fitted(face, known, recipe.size)
        if recipe.source == "sample" and abs(size / sample.CHAR_SIZE - 1) < glyphs.ALIKE:
            size = sample.CHAR_SIZE
        shift = (recipe.source_x, recipe.source_y)
        layout = Layout(recipe.size, size, *shift, middle(face, known, size))
    lacking = {c for some in face.missing(chars) for c in some}
    kept = _kept(chars, lacking, f"{face.name} has")
    return Sources(kept, drawn(face, kept, layout), tuple(sorted(lacking)), face, layout)


def _of_sample(recipe: Recipe, chars: str) -> Sources:
    there, pictures, _ = sample.read()
    lacking = set(chars) - set(there)
    kept = _kept(chars, lacking, "this run was trained on the sample, which has")
    rows = [there.index(c) for c in kept]
    return Sources(kept, pictures[rows], tuple(sorted(lacking)), None, None)


def _kept(chars: str, lacking: set[str], has: str) -> tuple[str, ...]:
    kept = tuple(c for c in chars if c not in lacking)
    if not kept:
        raise ValueError(f"{has} none of {_named(chars)}: give a font that has, --source FONT")
    return kept


def _named(chars: str | tuple[str, ...]) -> str:
    return "".join(chars[:NAMED]) + ("..." if len(chars) > NAMED else "")


@dataclass(frozen=True)
class Hand:
    """A trained generator that draws in one style."""

    run: Path
    generator: Generator
    recipe: Recipe
    style: int

    def draw(self, pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Source pictures (n, s, s) -> drawn ones (n, s, s), 0 ink."""
        styles = torch.full((len(pictures),), self.style)
        pairs = Pairs(glyphs.pictures(pictures), torch.empty(0), styles, ("",) * len(pictures))
        return bytes_of(generated(self.generator, pairs))


def hand(run: Path, style: int = 0) -> Hand:
    """The generator of a run's folder; ValueError in one line where it has no such style."""
    inner = run / "output"
    folder = inner if (inner / checkpoint.GENERATOR).is_file() else run
    generator, recipe, _ = checkpoint.trained(folder)
    count = len(recipe.target.split(os.pathsep))
    if not 0 <= style < count:
        raise ValueError(f"{run} has learnt styles 0 to {count - 1}: there is no style {style}")
    return Hand(folder, generator, recipe, style)


def batches(count: int, size: int, said: str) -> Iterable[slice]:
    """Parts of `count`, shown as they are done where a person looks on."""
    parts = [slice(i, i + size) for i in range(0, count, size)]
    console = Console(stderr=True)
    return track(parts, said, console=console) if console.is_terminal else parts


def file_of(folder: Path, character: str) -> Path:
    """
    >>> file_of(Path("a"), "永").name
    'U+6C38.png'
    """
    return folder / f"U+{ord(character):04X}.png"


def save(picture: Image.Image, file: Path) -> None:
    """A PNG, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        picture.save(beside, format="PNG")
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


def infer(own: Hand, found: Sources, folder: Path, again: bool = False, size: int = 64) -> int:
    """Draws what is not in the folder yet, a file each; how many were drawn.

    ValueError where the folder holds characters that something else drew.
    """
    maker = json.dumps(_maker(own, found), indent=1) + "\n"
    note = folder / MADE
    if not again and note.is_file() and note.read_text(encoding="utf-8") != maker:
        raise ValueError(
            f"{folder} holds characters of another run, style or source: "
            "take another folder, or --again to draw them anew"
        )
    write_text(note, maker)
    rows = [i for i, c in enumerate(found.characters) if again or not file_of(folder, c).is_file()]
    for part in batches(len(rows), size, "drawing"):
        some = rows[part]
        for row, picture in zip(some, own.draw(found.pictures[some]), strict=True):
            save(Image.fromarray(picture), file_of(folder, found.characters[row]))
    return len(rows)


def _maker(own: Hand, found: Sources) -> dict[str, object]:
    weights = hashlib.sha256((own.run / checkpoint.GENERATOR).read_bytes()).hexdigest()
    font = f"{found.face.path}#{found.face.index}" if found.face else "sample"
    return {"weights": weights, "style": own.style, "source": font}


def page(own: Hand, found: Sources, file: Path, size: int = 64) -> None:
    """A sheet of all characters, as the source has them and as they are drawn."""
    parts = batches(len(found.characters), size, "drawing the sheet")
    pictures = np.concatenate([own.draw(found.pictures[part]) for part in parts])
    save(sheet({"source": found.pictures, "drawn": pictures}, found.characters), file)


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        if options.batch < 1:
            raise ValueError("--batch needs a number from 1 on")
        torch.set_num_threads(1)
        chars = wanted(options.text, options.charset)
        own = hand(options.run, options.style)
        found = sources(own.recipe, chars, options.source)
        if found.lacking:
            count, named = len(found.lacking), _named(found.lacking)
            print(f"{count} of {len(chars)} are not in the source: {named}", file=sys.stderr)
        if options.sheet:
            page(own, found, options.sheet, options.batch)
            print(f"{options.sheet}: {len(found.characters)} characters")
        if options.out or not options.sheet:
            folder = options.out or options.run / "drawn"
            count = infer(own, found, folder, options.again, options.batch)
            print(f"{folder}: {count} characters drawn, {len(found.characters) - count} were there")
    except (OSError, ValueError, PackageError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def parser(program: str, page: str) -> argparse.ArgumentParser:
    """What every program takes that draws characters in the hand of a run."""
    about = page.partition("\n")[0]
    options = argparse.ArgumentParser(f"unstuck case zi2zi {program}", description=about)
    options.add_argument("run", type=Path, help="folder of a finished run")
    options.add_argument("--text", help="characters to draw")
    options.add_argument("--charset", help="a named set, or a text file")
    options.add_argument("--source", help="another font to start from")
    options.add_argument("--style", type=int, default=0, help="which target font; default 0")
    return options


def _parser() -> argparse.ArgumentParser:
    options = parser("infer", __doc__ or "")
    options.add_argument("--sheet", type=Path, help="PNG with all of them")
    options.add_argument("--out", type=Path, help="folder; default RUN/drawn where no sheet is")
    options.add_argument("--batch", type=int, default=64, help="characters at once")
    options.add_argument("--again", action="store_true", help="draw also those that are there")
    return options


if __name__ == "__main__":
    sys.exit(main())
