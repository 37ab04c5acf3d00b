"""Finds pictures by words, or texts by a picture, in the database of a trained run.

    python -m unstuck.cases.agch.search runs/agch "red fruit"
    python -m unstuck.cases.agch.search runs/agch photo.png --out found.png

The query's code is looked up in a FAISS index of the binary codes: of the images for words, of the
texts for a picture.
"""

import argparse
import os
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from torch import Tensor

from unstuck.cases.agch import features
from unstuck.cases.agch.codes import RunCodes, read
from unstuck.cases.agch.dataset import Split, text_vector, words_of
from unstuck.cases.agch.examples import items_of, words_in
from unstuck.cases.agch.grids import Item, Row, grid
from unstuck.cases.agch.index import Index
from unstuck.cases.agch.methods import split_of
from unstuck.cases.agch.model import Hasher, trained
from unstuck.cases.agch.train import signs
from unstuck.data import mobilenet
from unstuck.data.package import PackageError

KINDS = {".png", ".jpg", ".jpeg", ".webp"}
MOST_BYTES = 50_000_000  # of a query's file
SIDE = 64  # px of the pictures the features were taken from
LONGEST = 1000  # letters of a query
MOST_WORDS = 12  # of a found item in the table
A_LINE = 10  # items of a picture's line
WIDE = 140  # letters, where no terminal says how wide it is


@dataclass(frozen=True)
class Found:
    """A query as it is shown, and rows of the database with their distances, nearest first."""

    query: Item
    answers: str  # "image" or "text", what the rows are shown as
    rows: NDArray[np.int64]
    distances: NDArray[np.int64]
    known: frozenset[str] = frozenset()  # words of the query the run has learnt


def by_words(text: str, run: RunCodes, split: Split, hasher: Hasher, top: int) -> Found:
    """The images nearest to some words; ValueError where none of them is known."""
    known = known_words(text, split.vocabulary)
    code = coded(hasher.texts, text_vector(" ".join(known), split.vocabulary)[None])
    rows, distances = nearest(run.signs["database_image"], code, top)
    return Found(Item(text, words=known), "image", rows, distances, frozenset(known))


def by_picture(file: Path, run: RunCodes, hasher: Hasher, top: int) -> Found:
    """The texts nearest to a picture; ValueError for a file or a run that cannot be asked so."""
    picture = opened(file)
    code = coded(hasher.images, image_features(picture, len(hasher.image_mean)))
    rows, distances = nearest(run.signs["database_text"], code, top)
    return Found(Item(file.name, picture), "text", rows, distances)


def known_words(text: str, vocabulary: Sequence[str]) -> list[str]:
    """The words the run has learnt; the others are told on stderr.

    ValueError where none is known, with known words of like spelling.
    """
    if len(text) > LONGEST:
        raise ValueError(f"the query has {len(text):,} letters; at most {LONGEST:,} are read")
    words, there = words_of(text), set(vocabulary)
    unknown = [word for word in words if word not in there]
    known = [word for word in words if word in there]
    near = [n for word in unknown for n in get_close_matches(word, vocabulary, 3)]
    hint = f"; known words like it: {', '.join(dict.fromkeys(near))}" if near else ""
    if not known:
        said = f"no word of {text!r} is known to this run{hint or '; try everyday words'}"
        raise ValueError(said)
    if unknown:
        print(f"not known to this run: {', '.join(unknown)}{hint}", file=sys.stderr)
    return known


def opened(file: Path) -> NDArray[np.uint8]:
    """A picture on white, padded to a square: (SIDE, SIDE, 3); ValueError for what is none."""
    if file.stat().st_size > MOST_BYTES:
        raise ValueError(f"{file} is larger than {MOST_BYTES / 1e6:.0f} MB; give a smaller picture")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=("PNG", "JPEG", "WEBP")) as picture:
                whole = ImageOps.exif_transpose(picture).convert("RGBA")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        limit = f"{Image.MAX_IMAGE_PIXELS or 0:,}"
        raise ValueError(f"{file} has more than {limit} pixels; give a smaller picture") from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise ValueError(f"{file} cannot be read as PNG, JPEG or WebP: {error}") from None
    small = ImageOps.contain(whole, (SIDE, SIDE))
    page = Image.new("RGBA", (SIDE, SIDE), "white")
    page.alpha_composite(small, ((SIDE - small.width) // 2, (SIDE - small.height) // 2))
    return np.array(page.convert("RGB"), dtype=np.uint8)


def image_features(picture: NDArray[np.uint8], inputs: int) -> Tensor:
    """Of one picture, (1, inputs), as the training pictures' were; ValueError where others are."""
    if inputs != features.WIDTH:
        raise ValueError(
            f"this run's image features have {inputs:,} numbers and come from no network that is "
            f"here ({features.WIDTH:,} numbers); ask it with words"
        )
    return features.features(mobilenet.load(), picture[None])


@torch.no_grad()
def coded(network: Callable[[Tensor], Tensor], inputs: Tensor) -> NDArray[np.int8]:
    """Signs of the code of one input (1, d): (1, bits)."""
    return signs(network(inputs).numpy())


def nearest(
    codes: NDArray[np.int8], code: NDArray[np.int8], top: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the nearest codes, and their distances in bits, (top,) each."""
    distances, rows = Index(codes).search(code, min(top, len(codes)))
    return rows[0].astype(np.int64), distances[0].astype(np.int64)


def table(found: Found, run: RunCodes, split: Split) -> Table:
    """A row for each found item: name, distance, labels, and the query's words that it has."""
    shown = Table(title=escape(titled(found, run)), title_justify="left")
    for name in ("", "found", "bits that differ", "labels", "words"):
        shown.add_column(name, justify="right" if name in ("", "bits that differ") else "left")
    for place, (row, bits) in enumerate(zip(found.rows, found.distances, strict=True), 1):
        words = words_in(split.database.texts[int(row)], split.vocabulary)
        marked = [f"[bold]{w}[/bold]" if w in found.known else w for w in words]
        name = escape(run.names["database"][row])
        labels = escape(", ".join(labels_of(run, split, int(row))))
        shown.add_row(str(place), name, str(bits), labels, " ".join(marked[:MOST_WORDS]))
    return shown


def titled(found: Found, run: RunCodes) -> str:
    asked = found.query.name if len(found.query.name) <= 60 else f"{found.query.name[:57]}..."
    return f"{asked}: {run.bits} bits, database {run.database}"


def labels_of(run: RunCodes, split: Split, row: int) -> list[str]:
    return [split.classes[i] for i in np.flatnonzero(run.labels["database"][row])]


def shared(found: Found, run: RunCodes, split: Split) -> str:
    """What most of the found items have in common."""
    counts = Counter(name for row in found.rows for name in labels_of(run, split, int(row)))
    name, count = counts.most_common(1)[0] if counts else ("no label", len(found.rows))
    return f"{count} of {len(found.rows)} have the label {name}"


def draw(found: Found, run: RunCodes, split: Split, file: Path) -> None:
    """The query and what it found; a frame says whether one of its words is there."""
    items = items_of(run, split, "database", found.answers, found.rows)
    noted = [
        replace(item, note=f"{bits} bits", relevant=_has(found, split, int(row)))
        for item, row, bits in zip(items, found.rows, found.distances, strict=True)
    ]
    lines = [noted[i : i + A_LINE] for i in range(0, len(noted), A_LINE)]
    rows = [Row(None if i else found.query, line) for i, line in enumerate(lines)]
    meaning = "; framed by whether a word of the query is theirs" if found.known else ""
    grid(file, rows, f"{titled(found, run)}{meaning}")


def _has(found: Found, split: Split, row: int) -> bool | None:
    """Whether an item has one of the query's words; None where the query has none."""
    if not found.known:
        return None
    return bool(found.known & set(words_in(split.database.texts[row], split.vocabulary)))


def main(arguments: list[str] | None = None) -> int:
    chosen = _parser().parse_args(arguments)
    try:
        found, run, split = asked(chosen)
        width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDE
        console = Console(width=width)
        console.print(table(found, run, split))
        console.print(shared(found, run, split), highlight=False)
        if chosen.out:
            draw(found, run, split, chosen.out)
            print(f"drawn: {chosen.out}")
    except (ImportError, OSError, ValueError, PackageError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def asked(options: argparse.Namespace) -> tuple[Found, RunCodes, Split]:
    """What the command line asks for, answered; ValueError in one line where it cannot be."""
    text = " ".join(options.query)
    if bool(text) == bool(options.picture):
        raise ValueError("give words or the file of a picture, one of them")
    if options.top < 1:
        raise ValueError(f"--top must be at least 1, got {options.top}")
    run = read(options.run)
    hasher = trained(run.folder)[0]
    split = split_of([run])
    file = options.picture or Path(text)
    if options.picture or (file.suffix.lower() in KINDS and file.is_file()):
        return by_picture(file, run, hasher, options.top), run, split
    if file.suffix.lower() in KINDS:
        raise ValueError(f"there is no file {file}")
    return by_words(text, run, split, hasher, options.top), run, split


def _parser() -> argparse.ArgumentParser:
    about = (__doc__ or "").partition("\n")[0]
    options = argparse.ArgumentParser("python -m unstuck.cases.agch.search", description=about)
    options.add_argument("run", type=Path, metavar="RUN", help="what a training left")
    options.add_argument("query", nargs="*", help="words, or the file of a picture")
    options.add_argument("--picture", type=Path, metavar="FILE", help="ask with this picture")
    options.add_argument("--top", type=int, default=10, help="items to find (default: 10)")
    options.add_argument("--out", type=Path, metavar="PNG", help="picture of what was found")
    return options


if __name__ == "__main__":
    sys.exit(main())
