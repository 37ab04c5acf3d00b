"""Emoji: 1,600 pictures with a name, keywords and a group.

Pictures: Noto emoji, npm package emoji-datasource-google (pictures Apache-2.0, data MIT); the same
in another style, Twemoji, emoji-datasource-twitter (pictures CC-BY-4.0). Keywords: npm package
emojilib (MIT). Flags and the bare skin tones are left out. The embedded sample holds
800 of them at 32 px.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from unstuck.data.package import Package, cache, unpacked, write_whole

SIZE = 64  # px as shipped
LEFT_OUT = ("Flags", "Component")
Style = Literal["google", "twitter"]
STYLES: Mapping[Style, Package] = {
    "google": Package(
        "npm",
        "emoji-datasource-google",
        "16.0.0",
        "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438",
    ),
    "twitter": Package(
        "npm",
        "emoji-datasource-twitter",
        "16.0.0",
        "f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877",
    ),
}
KEYWORDS = Package(
    "npm", "emojilib", "4.0.3", "7f9a6b43cff31d18985b7d65d11faba5bd971cbcc60020cf6d09322fbaaaf303"
)
SAMPLE = Path(__file__).parent / "emoji.npz"


class Entry(NamedTuple):
    """One emoji of a package."""

    code: str  # of its characters, "1F34E"; the same in every style
    picture: Path
    name: str  # "red apple"
    keywords: list[str]
    group: str
    subgroup: str


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
    rows = [entry for entry in entries() if entry.group not in LEFT_OUT]
    order = np.random.default_rng(0).permutation(len(rows))
    rows = [rows[i] for i in order]
    return {
        "pixels": np.stack([on_white(entry.picture) for entry in rows]),
        "name": np.array([entry.name for entry in rows]),
        "keywords": np.array(["|".join(entry.keywords) for entry in rows]),
        "group": np.array([entry.group for entry in rows]),
        "subgroup": np.array([entry.subgroup for entry in rows]),
    }


def entries(style: Style = "google") -> list[Entry]:
    """Every emoji that has a picture and a name, as the package lists them; fetches packages."""
    folder = unpacked(STYLES[style]) / "package"
    words = json.loads((unpacked(KEYWORDS) / "package/dist/emoji-en-US.json").read_text())
    words = {_plain(emoji): keywords for emoji, keywords in words.items()}
    found = []
    for entry in json.loads((folder / "emoji.json").read_text()):
        emoji = "".join(chr(int(code, 16)) for code in entry["unified"].split("-"))
        keywords = words.get(_plain(emoji))
        picture = folder / "img" / style / "64" / entry["image"]
        if keywords and picture.exists():
            name, *others = [word.replace("_", " ").lower() for word in keywords]
            kind = entry["category"], entry["subcategory"]
            found.append(Entry(entry["unified"], picture, name, others, *kind))
    return found


def _plain(emoji: str) -> str:
    return emoji.replace("\ufe0f", "")


def on_white(file: Path) -> np.ndarray:
    """RGB bytes (64, 64, 3)."""
    picture = Image.open(file).convert("RGBA")
    page = Image.new("RGBA", picture.size, "white")
    return np.asarray(Image.alpha_composite(page, picture).convert("RGB"))
