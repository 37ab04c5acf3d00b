"""Sizes of memory as people write them."""

import re

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", re.IGNORECASE)


def bytes_of(text: str) -> int:
    """Bytes of a size such as 15GB (15e9), 16GiB (16 x 2^30) or 8000MB.

    ValueError for what is no size, or none at all.

    >>> bytes_of("15GB"), bytes_of("16 GiB"), bytes_of("24g"), bytes_of("1500000")
    (15000000000, 17179869184, 24000000000, 1500000)
    """
    found = _SIZE.fullmatch(text) if len(text) <= 20 else None
    if not found or (found[3] and not found[2]):
        raise ValueError(f"{text[:20]!r} is no size of memory; write it as 15GB or 16GiB")
    letter = found[2].lower()
    unit = 2 ** (10 * "kmgt".index(letter) + 10) if found[3] else UNITS[letter]
    size = int(float(found[1]) * unit)
    if not size:
        raise ValueError(f"{text[:20]!r} is no memory at all; write it as 15GB or 16GiB")
    return size
