"""Damage to the samples of the sources: what a disk, a kill or an enemy makes of a log."""

import random
from pathlib import Path

HOSTILE = (
    b"<script>alert(1)</script>",
    b"\x1b[2J\x1b]0;title\x07",
    b"nan",
    b"-inf",
    b"1e999",
    b"9" * 400,
    b"-1",
    b"\xff" * 40,
    b"\x00" * 40,
    b"[" * 3_000,
    b"{" * 3_000,
    b'"',
    b",,,,;;;;\t\t",
    b"\n\n\r\r\n",
    b"%s%n{0}{}",
    b"a" * 20_000,
    "损失".encode("gbk"),
)


def mutated(data: bytes, rng: random.Random) -> bytes:
    """The bytes with one to four random wounds."""
    for _ in range(rng.randint(1, 4)):
        data = rng.choice(WOUNDS)(bytearray(data), rng)
    return bytes(data)


def _flip(data: bytearray, rng: random.Random) -> bytearray:
    for _ in range(rng.randint(1, 8)):
        if data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


def _cut(data: bytearray, rng: random.Random) -> bytearray:
    return data[: rng.randint(0, len(data))]


def _drop(data: bytearray, rng: random.Random) -> bytearray:
    start = rng.randint(0, len(data))
    del data[start : start + rng.randint(1, 200)]
    return data


def _repeat(data: bytearray, rng: random.Random) -> bytearray:
    start, count = rng.randint(0, len(data)), rng.randint(1, 400)
    data[start:start] = data[start : start + count] * rng.randint(1, 20)
    return data


def _insert(data: bytearray, rng: random.Random) -> bytearray:
    start = rng.randint(0, len(data))
    data[start:start] = rng.choice(HOSTILE)
    return data


def _move(data: bytearray, rng: random.Random) -> bytearray:
    start, count = rng.randint(0, len(data)), rng.randint(1, 200)
    block = data[start : start + count]
    del data[start : start + count]
    to = rng.randint(0, len(data))
    data[to:to] = block
    return data


def _huge(data: bytearray, rng: random.Random) -> bytearray:
    """A length or a count that claims far more than there is."""
    start = rng.randint(0, max(0, len(data) - 8))
    data[start : start + 8] = rng.choice([2**31 - 1, 2**32, 2**62, 2**64 - 1]).to_bytes(8, "little")
    return data


def _digits(data: bytearray, rng: random.Random) -> bytearray:
    """A number of the text becomes another one."""
    places = [i for i, c in enumerate(data[:200_000]) if 48 <= c <= 57]
    if places:
        at = rng.choice(places)
        data[at : at + 1] = rng.choice([b"999999999999", b"-", b"e", b".", b"0", b"1e308"])
    return data


WOUNDS = (_flip, _cut, _drop, _repeat, _insert, _move, _huge, _digits)


def wounded(files: list[Path], rng: random.Random) -> tuple[Path, bytes]:
    """One file of a sample and what becomes of it."""
    file = rng.choice(files)
    return file, mutated(file.read_bytes(), rng)
