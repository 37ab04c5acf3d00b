"""1,000 characters in two fonts at 64 px, made by scripts/make_zi2zi_sample.py.

Noto Sans CJK SC Regular, (c) 2014-2021 Adobe, and LXGW WenKai Regular, (c) 2021-2023 LXGW and (c)
2020 The Klee Project Authors, with Reserved Font Names "LXGW" and its Chinese name; both fonts are
under the SIL Open Font License 1.1, <https://openfontlicense.org>. See LICENCE.txt.
"""

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FOLDER = Path(__file__).parent
FACES = ("Noto Sans CJK SC Regular", "LXGW WenKai Regular")
SHEETS = ("noto-sans-sc", "lxgw-wenkai")  # names of the fonts, and of the files
CHARACTERS = FOLDER / "characters.txt"
SIDE, ACROSS = 64, 40  # px of a picture; pictures in a row of a sheet
LEVELS = 15  # of grey, above 0: 4 bits
CHAR_SIZE = 56  # px of the fonts


@cache
def read() -> tuple[str, NDArray[np.uint8], NDArray[np.uint8]]:
    """The characters, and their pictures (n, 64, 64) in the first and the second font."""
    chars = CHARACTERS.read_text(encoding="utf-8").strip()
    first, second = (_pictures(FOLDER / f"{name}.png")[: len(chars)] for name in SHEETS)
    return chars, first, second


def _pictures(file: Path) -> NDArray[np.uint8]:
    with Image.open(file) as sheet:
        levels = np.asarray(sheet).reshape(-1, SIDE, ACROSS, SIDE).swapaxes(1, 2)
    grey = levels.reshape(-1, SIDE, SIDE) * (255 // LEVELS)
    grey.setflags(write=False)  # all callers have the same one
    return grey
