"""Emoji: 1,600 pictures with a name, keywords and a group.

Pictures: Noto emoji, npm package emoji-datasource-google (pictures Apache-2.0, data MIT). Keywords:
npm package emojilib (MIT). Flags and the bare skin tones are left out. The embedded sample holds
800 of them at 32 px.
"""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from unstuck.data.package import Package, cache, unpacked, write_whole

SIZE = 64  # px as shipped
LEFT_OUT = ("Flags", "Component")
PICTURES = Package(
    "npm",
    "emoji-datasource-google",
    "16.0.0",
    "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438",
)
KEYWORDS = Package(
    "npm", "emojilib", "4.0.3", "7f9a6b43cff31d18985b7d65d11faba5bd971cbcc60020cf6d09322fbaaaf303"
)
SAMPLE = Path(__file__).parent / "emoji.npz"


class Emoji(NamedTuple):
    """Pictures (n, 3, size, size) in [0, 1] on white, in a fixed shuffled order."""

    pictures: Tensor
    names: list[str]  # "red apple"
    keywords: list[list[str]]  # the name's own words not included
    groups: Tensor  # (n,), index into group_names
    group_names: list[str]
    subgroups: list[str]


def load(size: int = 32, *, sample: bool = False) -> Emoji:
    """All emoji at `size` px, which must divide 64 (32 for the sample)."""
    file = SAMPLE if sample else cache() / "emoji-64.npz"
    if not file.exists():
        write_whole(file, _converted())
    kept = np.load(file, allow_pickle=False)
    pixels = torch.from_numpy(kept["pixels"].astype(np.float32)).permute(0, 3, 1, 2) / 255
    factor, rest = divmod(pixels.shape[-1], size)
    if rest or not factor:
        raise ValueError(f"size {size} does not divide the {pixels.shape[-1]} px of the pictures")
    if factor > 1:
        pixels = torch.nn.functional.avg_pool2d(pixels, factor)
    group_names = sorted(set(kept["group"].tolist()))
    groups = torch.tensor([group_names.index(g) for g in kept["group"].tolist()])
    return Emoji(
        pixels,
        kept["name"].tolist(),
        [text.split("|") if text else [] for text in kept["keywords"].tolist()],
        groups,
        group_names,
        kept["subgroup"].tolist(),
    )


def _converted() -> dict[str, np.ndarray]:
    """Pictures on white, (n, 64, 64, 3) bytes, with their texts."""
    folder = unpacked(PICTURES) / "package"
    words = json.loads((unpacked(KEYWORDS) / "package/dist/emoji-en-US.json").read_text())
    words = {_plain(emoji): keywords for emoji, keywords in words.items()}
    rows = []
    for entry in json.loads((folder / "emoji.json").read_text()):
        emoji = "".join(chr(int(code, 16)) for code in entry["unified"].split("-"))
        keywords = words.get(_plain(emoji))
        picture = folder / "img" / "google" / "64" / entry["image"]
        if entry["category"] in LEFT_OUT or not keywords or not picture.exists():
            continue
        name, *others = [word.replace("_", " ").lower() for word in keywords]
        rows.append((picture, name, "|".join(others), entry["category"], entry["subcategory"]))
    order = np.random.default_rng(0).permutation(len(rows))
    pictures, names, keywords, groups, subgroups = zip(*(rows[i] for i in order), strict=True)
    return {
        "pixels": np.stack([_on_white(picture) for picture in pictures]),
        "name": np.array(names),
        "keywords": np.array(keywords),
        "group": np.array(groups),
        "subgroup": np.array(subgroups),
    }


def _plain(emoji: str) -> str:
    return emoji.replace("\ufe0f", "")


def _on_white(file: Path) -> np.ndarray:
    picture = Image.open(file).convert("RGBA")
    page = Image.new("RGBA", picture.size, "white")
    return np.asarray(Image.alpha_composite(page, picture).convert("RGB"))
