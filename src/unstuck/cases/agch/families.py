"""Which pictograms are one thing drawn twice: these lie on one side of a split.

A man, a woman and a person running, to the left or to the right, are nearly one picture with nearly
the same words. With one of them a query and the others trained on, retrieval would be recognition.
Names that differ only by the words below make one family, and so do the faces of the clock, the
phases of the moon, and whatever differs in its colour, size or direction.
"""

import re
from collections.abc import Sequence

WORD = re.compile("[a-z]+")
WHO = """man men woman women person people boy girl child baby adult old older male female mr mrs mx
    prince princess king queen bride santa lady gentleman"""
HAIR = "hair beard bald curly blond"
COLOURS = """red orange yellow green blue purple pink brown black white grey gray light dark
    hollow"""
SIZES = "small medium large big low high half"
WHERE = """left right up down leftwards rightwards upwards downwards upper lower top bottom front
    back backhand oncoming facing raised lowered pointing pointed tilted clockwise counterclockwise
    vertical horizontal curving"""
STATES = "open closed locked unlocked probing st nd rd and"
IGNORED = frozenset(" ".join((WHO, HAIR, COLOURS, SIZES, WHERE, STATES)).split())
SAME = {"merman": "mer", "mermaid": "mer", "merperson": "mer"}
SERIES = (  # whatever the rest of the name
    (re.compile(r"o clock|thirty$"), "clock face"),
    (re.compile(r"\bmoon\b"), "moon"),
    (re.compile(r"^family\b"), "family"),
    (re.compile(r"^kiss\b"), "kiss"),
    (re.compile(r"^globe showing"), "globe"),
    (re.compile(r"^keycap"), "keycap"),
    (re.compile(r"^sun\b"), "sun"),
)


def families(names: Sequence[str]) -> list[int]:
    """A number for each name; those of one family share it.

    >>> families(["woman running", "man running facing right", "red apple", "one o clock"])
    [0, 0, 1, 2]
    """
    numbers: dict[str, int] = {}
    return [numbers.setdefault(family(name), len(numbers)) for name in names]


def family(name: str) -> str:
    """What is left of a name without the words that only vary it.

    >>> family("person with white cane facing right")
    'with cane'
    """
    for pattern, series in SERIES:
        if pattern.search(name):
            return series
    left = [SAME.get(word, word) for word in WORD.findall(name.lower()) if word not in IGNORED]
    return " ".join(left) or "person"
