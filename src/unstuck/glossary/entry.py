"""The shape of an entry of the glossary."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One kind of series or fact: a shell pattern of names, its unit and its meaning."""

    pattern: str
    unit: str
    meaning: str
    written_by: str
