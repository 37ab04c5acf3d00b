"""CRC32C of single records and of many records of one length at once.

A CRC is linear: of two records of equal length, the difference of the sums depends on the bytes
that differ alone. One sum in Python and a table lookup per differing byte check a thousand records.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

POLYNOMIAL = 0x82F63B78  # Castagnoli, bits reversed
LONGEST = 4_096  # bytes of a record that is checked: the tables hold 1 kB a byte
Sums = NDArray[np.uint32]


def _table() -> Sums:
    sums = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        sums = np.where(sums & 1, (sums >> 1) ^ np.uint32(POLYNOMIAL), sums >> 1)
    return sums.astype(np.uint32)


_TABLES = [_table()]  # the n-th: what a byte does to the sum when n bytes follow it
_FIRST: list[int] = _TABLES[0].tolist()


def crc32c(data: bytes) -> int:
    """
    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _FIRST[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def crc32c_of_rows(rows: NDArray[np.uint8], columns: Iterable[int]) -> Sums:
    """The sum of every row, where rows differ in nothing but the given columns.

    >>> rows = np.frombuffer(b"123456789123x5678y", np.uint8).reshape(2, 9)
    >>> [hex(c) for c in crc32c_of_rows(rows, [3, 8])], hex(crc32c(b"123x5678y"))
    (['0xe3069283', '0x7e8afbbc'], '0x7e8afbbc')
    """
    length = rows.shape[1]
    sums = np.full(len(rows), crc32c(rows[0].tobytes()), dtype=np.uint32)
    for column in columns:
        byte = rows[:, column]
        sums ^= _shifted(length - 1 - column)[byte ^ byte[0]]
    return sums


def masked(sums: Sums) -> Sums:
    """As TensorFlow's record files store them: rotated and moved by a constant."""
    return ((sums >> np.uint32(15)) | (sums << np.uint32(17))) + np.uint32(0xA282EAD8)


def _shifted(following: int) -> Sums:
    while len(_TABLES) <= following:
        last = _TABLES[-1]
        _TABLES.append((last >> np.uint32(8)) ^ _TABLES[0][last & np.uint32(0xFF)])
    return _TABLES[following]
