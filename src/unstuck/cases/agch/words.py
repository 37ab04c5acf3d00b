"""How a text is taken apart into words, the same for keywords and for what is searched."""

import re
from collections.abc import Sequence

import torch
from torch import Tensor

WORD = re.compile("[a-z]+")


def words_of(text: str) -> list[str]:
    """Runs of the letters a to z, lower case, in order, repeats kept.

    >>> words_of("Red apple, a 1st-class fruit")
    ['red', 'apple', 'a', 'st', 'class', 'fruit']
    """
    return WORD.findall(text.lower())


def text_vector(text: str, vocabulary: Sequence[str]) -> Tensor:
    """(words,) with 1 for each word of the text; ValueError if the vocabulary has none of them."""
    asked = set(words_of(text))
    found = torch.tensor([float(word in asked) for word in vocabulary])
    if not found.any():
        said = ", ".join(sorted(asked)) or "no word at all"
        raise ValueError(f"none of the {len(vocabulary)} known words is in {text[:80]!r} ({said})")
    return found
