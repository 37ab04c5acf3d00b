"""The Pentateuch in the King James Version: 0.8 million characters of plain English prose.

Embedded whole (public domain; from the Debian packages bible-kjv and bible-kjv-text).
"""

import lzma
from pathlib import Path

import torch
from torch import Tensor

FILE = Path(__file__).parent / "text.xz"
ALPHABET = "\n ',-.:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!()"


def load(characters: int | None = None) -> str:
    """The first `characters` of the text; verses are lines, chapters are not marked."""
    return lzma.decompress(FILE.read_bytes()).decode()[:characters]


def encoded(text: str) -> Tensor:
    """(length,) indices into ALPHABET."""
    position = {character: i for i, character in enumerate(ALPHABET)}
    return torch.tensor([position[character] for character in text])


def decoded(indices: Tensor) -> str:
    return "".join(ALPHABET[i] for i in indices.tolist())
