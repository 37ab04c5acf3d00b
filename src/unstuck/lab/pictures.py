"""Pictures in batches, and which two of a sample should lie on each other."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from unstuck.experiment import NotProbed
from unstuck.lab.batch import tensors
from unstuck.lab.phase import SMALLEST
from unstuck.records import Floats

LARGEST = 256  # px of a side that are looked at; larger pictures are averaged down
PIXELS = 1 << 19  # of all pictures together: what a cheap experiment has time and memory for

Chosen = Callable[[Any], tuple[Tensor, Tensor]]


def is_picture(tensor: Tensor) -> bool:
    """Whether it is a batch of pictures (n, c, h, w) of numbers, large enough to have edges."""
    return (
        tensor.ndim == 4
        and min(tensor.shape[2:]) >= SMALLEST
        and tensor.dtype != torch.bool
        and (tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.uint8)
    )


def pair_in(batch: Any) -> tuple[Tensor, Tensor]:
    """The first two of a batch that could lie on each other: pictures, or a picture and its map.

    Of an (inputs, targets) batch one of each. NotProbed where there are no two.
    """
    halves = [[t] for t in tensors(batch)]
    if isinstance(batch, list | tuple) and len(batch) == 2:
        halves = [list(tensors(part)) for part in batch]
    first = next(((i, t) for i, half in enumerate(halves) for t in half if is_picture(t)), None)
    if first is None:
        raise NotProbed(
            f"the batch holds no pictures (n, c, h, w) of {SMALLEST} px or more; tell where they "
            "are with paired=lambda batch: (a, b)"
        )
    place, picture = first
    for half in halves[place + 1 :]:
        for tensor in half:
            if _fits(picture, tensor):
                return picture, tensor
    raise NotProbed(
        "the batch holds no second picture that could lie on the first; tell which two with "
        "paired=lambda batch: (a, b)"
    )


def _fits(picture: Tensor, other: Tensor) -> bool:
    """A picture of the same samples and size, or a whole number of times as large; or a map."""
    if other.ndim not in (3, 4) or len(other) != len(picture):
        return False
    a, b = picture.shape[-2:], other.shape[-2:]
    if min(b) < SMALLEST:
        return False
    return _whole_times(a, b) > 0 and (other.ndim == 4 or a == b)


def _whole_times(a: torch.Size, b: torch.Size) -> int:
    """How many times as large the one is as the other, in both directions alike; 0: it is not."""
    (small, large) = sorted((tuple(a), tuple(b)))
    times = large[0] // small[0]
    return times if (small[0] * times, small[1] * times) == large else 0


def gathered(batches: list[Any], chosen: Chosen | None) -> tuple[Floats, Floats, int, int]:
    """Pairs of all batches as (n, c, h, w) of equal size, of how many batches, how much reduced.

    Batches of other sizes than the first are left out, and so are pairs that are not finite or of
    one colour, which have no place, and those that are there already.
    """
    firsts: list[Floats] = []
    seconds: list[Floats] = []
    goal, times = (0, 0), 1
    for batch in batches:
        a, b = (chosen or pair_in)(batch)
        if len(a) != len(b) or a.ndim < 3 or b.ndim < 3:
            raise NotProbed(f"pictures {tuple(a.shape)} cannot be paired with {tuple(b.shape)}")
        small = [min(x, y) for x, y in zip(a.shape[-2:], b.shape[-2:], strict=True)]
        times = -(-min(small) // LARGEST)
        now = (small[0] // times, small[1] // times)
        if firsts and now != goal:
            continue
        goal = now
        count = max(1, PIXELS // (goal[0] * goal[1]) // len(batches))  # some of each batch
        firsts.append(_reduced(numbers(a[:count]), goal))
        seconds.append(_reduced(numbers(b[:count]), goal))
    first, second = np.concatenate(firsts), np.concatenate(seconds)
    known = _varied(first) & _varied(second) & _different(first, second)
    return first[known], second[known], len(firsts), times


def numbers(pictures: Tensor) -> Floats:
    """(n, c, h, w) or (n, h, w) of any kind as float64 (n, c, h, w); complex ones as two parts."""
    plain = pictures.detach()
    if plain.is_complex():
        plain = torch.cat([plain.real, plain.imag], 1) if plain.ndim == 4 else plain.abs()
    if plain.ndim == 3:
        plain = plain[:, None]
    return np.asarray(plain.to("cpu", torch.float64).numpy())


def _reduced(pictures: Floats, goal: tuple[int, int]) -> Floats:
    if pictures.shape[2:] == goal:
        return pictures
    plain = torch.from_numpy(np.ascontiguousarray(pictures))
    return np.asarray(functional.adaptive_avg_pool2d(plain, goal).numpy())


def _different(first: Floats, second: Floats) -> NDArray[np.bool_]:
    """The first of equal pairs."""
    found: dict[bytes, int] = {}
    for i, pair in enumerate(zip(first, second, strict=True)):
        found.setdefault(b"".join(part.tobytes() for part in pair), i)
    return np.isin(np.arange(len(first)), list(found.values()))


def _varied(pictures: Floats) -> NDArray[np.bool_]:
    flat = pictures.reshape(len(pictures), -1)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.isfinite(flat).all(1) & (np.ptp(flat, axis=1) > 0))
