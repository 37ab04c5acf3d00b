"""Texts of numbers -> numbers: is the comma in `2,345` a decimal comma, or one between thousands?

A column of numbers says it where one of them can only be read one way (`2,3`, `0,345`, `1,234.5`,
`1,234,567`); else the other numbers of the log do; else nobody knows, and it is left out.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np

from unstuck.records import Floats

Comma = Literal["thousands", "decimal", "open", "neither"]

_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?(?:[eE][-+]?\d+)?")
_DECIMAL = re.compile(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?")


def comma_of(texts: Sequence[str]) -> Comma | None:
    """What the commas in a column of numbers are; None where it has none.

    >>> comma_of(["2,345", "2,3"]), comma_of(["2,345", "987.5"]), comma_of(["2,345", "1,234"])
    ('decimal', 'thousands', 'open')
    >>> comma_of(["1,2,3"]), comma_of(["2,3", "2.3"])
    ('neither', 'neither')
    """
    joined = "\n".join(texts)
    if "," not in joined:
        return None
    kinds: set[Comma] = {_kind(text) for text in texts if "," in text}
    if "." in joined:
        kinds.add("thousands")
    if "neither" in kinds or {"thousands", "decimal"} <= kinds:
        return "neither"
    return next((k for k in kinds if k != "open"), "open")


def settled(commas: Iterable[Comma | None], points: bool) -> Comma:
    """What open commas are, by the other numbers of a log; `points`: it has decimal points."""
    if "decimal" in commas:
        return "neither" if points else "decimal"
    return "thousands" if points else "neither"


def grouped(texts: Sequence[str]) -> bool:
    """Whether numbers below a thousand stand among open ones without a comma: 999, 1,000."""
    return any(text.isdigit() and len(text) < 4 for text in texts)


def floats(texts: Sequence[str], comma: Comma | None) -> Floats:
    """A column of numbers, once it is known what their commas are."""
    if comma is not None:
        texts = [text.replace(",", "." if comma == "decimal" else "") for text in texts]
    return np.array(texts, dtype=np.float64)


def _kind(text: str) -> Comma:
    thousands, decimal = _THOUSANDS.fullmatch(text), _DECIMAL.fullmatch(text)
    if thousands and decimal:
        return "open"
    if thousands:
        return "thousands"
    return "decimal" if decimal else "neither"
