"""Make the characters embedded in `cases/zi2zi/sample/` from the fonts they are of.

python scripts/make_zi2zi_sample.py      (some seconds, and 108 MB of downloads the first time)

A thousand of the 3,755 characters of GB 2312 level 1: the SIMPLEST, the MOST complex ones, counted
by the ink of the source font's outline, and of those between a seeded choice.
"""

import random

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unstuck.atomic import write_text
from unstuck.cases.zi2zi import sample
from unstuck.cases.zi2zi.charsets import characters
from unstuck.cases.zi2zi.glyphs import layouts
from unstuck.cases.zi2zi.recipe import Recipe
from unstuck.cases.zi2zi.typeface import drawn, typeface

COUNT, SIMPLEST, MOST = 1000, 100, 100


def chosen(pictures: NDArray[np.uint8], chars: str) -> list[int]:
    """Places of the characters taken, in the charset's order."""
    edges = np.abs(np.diff(pictures.astype(np.int16))).sum((1, 2))  # px of stroke that are crossed
    order = np.argsort(edges, kind="stable").tolist()
    between = random.Random(0).sample(order[SIMPLEST:-MOST], COUNT - SIMPLEST - MOST)
    return sorted([*order[:SIMPLEST], *between, *order[-MOST:]])


def sheet(levels: NDArray[np.uint8]) -> Image.Image:
    """Pictures (n, s, s) of levels 0 to LEVELS beside and below each other, 4 bits a pixel."""
    side, across = sample.SIDE, sample.ACROSS
    rows = levels.reshape(-1, across, side, side).swapaxes(1, 2)
    page = Image.fromarray(rows.reshape(-1, across * side), "P")
    page.putpalette([level * (255 // sample.LEVELS) for level in range(16) for _ in range(3)])
    return page


def main() -> None:
    chars = characters("gb2312-l1")
    faces = [typeface(name) for name in sample.SHEETS]
    first, second = layouts(Recipe(char_size=sample.CHAR_SIZE), faces, chars)
    both = [drawn(faces[0], chars, first), drawn(faces[1], chars, second)]
    rows = chosen(both[0], chars)
    whole = [pictures[rows].astype(np.float64) / 255 for pictures in both]
    kept = [np.rint(pictures * sample.LEVELS).astype(np.uint8) for pictures in whole]
    write_text(sample.CHARACTERS, "".join(chars[row] for row in rows) + "\n")
    for name, levels, exact in zip(sample.SHEETS, kept, whole, strict=True):
        file = sample.FOLDER / f"{name}.png"
        sheet(levels).save(file, bits=4, optimize=True)
        off = np.abs(levels / sample.LEVELS - exact).mean()
        print(f"{file.name}: {file.stat().st_size / 1e6:.2f} MB, L1 {off:.5f} off 256 levels")
    l1 = [np.abs(a - b).mean() for a, b in (whole, [k / sample.LEVELS for k in kept])]
    print(f"{len(rows)} characters; between the fonts L1 {l1[0]:.5f}, as kept {l1[1]:.5f}")


if __name__ == "__main__":
    main()
