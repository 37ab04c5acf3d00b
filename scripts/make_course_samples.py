"""Make the samples embedded in `cases/course/data/` and `data/` from the packages they come from.

python scripts/make_course_samples.py      (Debian: needs apt-get update once)
"""

import lzma
import re
import subprocess
from pathlib import Path

import numpy as np
import torch

from unstuck.cases.course.data import digits, fashion, text
from unstuck.data import emoji
from unstuck.data.package import Package, unpacked

BIBLE = Package(
    "debian",
    "bible-kjv",
    "4.38",
    "75a49c032a6efa9faa2beb4a9acb70974380122906329d0e100de36cc88ff02d",
)
BIBLE_TEXT = Package(
    "debian",
    "bible-kjv-text",
    "4.38",
    "d61b6aad4c51ba9e2800b825325fa6a09e99a0d02a9bb6dc4724fcc4995a1b7a",
)
VERSES = "ge1:1-deut34:12"


def to_bytes(x: torch.Tensor) -> np.ndarray:
    return (x * 255).round().to(torch.uint8).numpy()


def save(file: Path, **arrays: np.ndarray) -> None:
    np.savez_compressed(file, **arrays)
    print(f"{file.name}: {file.stat().st_size / 1e6:.2f} MB")


def main() -> None:
    clothes = fashion.load(3000, 1000)
    save(
        fashion.SAMPLE,
        train_x=to_bytes(clothes.train_x[:, 0]),
        train_y=clothes.train_y.numpy().astype(np.uint8),
        test_x=to_bytes(clothes.test_x[:, 0]),
        test_y=clothes.test_y.numpy().astype(np.uint8),
    )
    numbers = digits.load(1600, 400)
    save(
        digits.SAMPLE,
        x=to_bytes(torch.cat([numbers.test_x, numbers.train_x])[:, 0]),
        y=torch.cat([numbers.test_y, numbers.train_y]).numpy().astype(np.uint8),
    )
    signs = emoji.load(32)
    save(
        emoji.SAMPLE,
        pixels=to_bytes(signs.pictures[:800]).transpose(0, 2, 3, 1),
        name=np.array(signs.names[:800]),
        keywords=np.array(["|".join(words) for words in signs.keywords[:800]]),
        group=np.array([signs.group_names[g] for g in signs.groups[:800]]),
        subgroup=np.array(signs.subgroups[:800]),
    )
    program = unpacked(BIBLE) / "usr/bin/bible"
    library = unpacked(BIBLE_TEXT) / "usr/lib"
    printed = subprocess.run(
        [program, "-p", library, "-f", VERSES], check=True, capture_output=True, text=True
    ).stdout
    verses = re.sub(r"^\w+:\d+ ", "", printed, flags=re.MULTILINE)
    assert set(verses) <= set(text.ALPHABET), set(verses) - set(text.ALPHABET)
    text.FILE.write_bytes(lzma.compress(verses.encode(), preset=9))
    print(f"{text.FILE.name}: {len(verses)} characters, {text.FILE.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
