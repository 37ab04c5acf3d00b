"""Sequences as rows of places: words of a sentence, steps in time, pixels line by line."""

from collections.abc import Iterator

import torch
from torch import Tensor

SHORTEST = 4  # places of a sequence
DIFFERENT = 16  # places at which neighbours differ, without which a shift cannot be told
EQUAL = 1e-2  # of the target's deviation: numbers that are equal but for rounding


def rows_of_places(x: Tensor) -> Iterator[Tensor]:
    """Readings of an input as (n, places, numbers); several where the shape leaves it open."""
    if x.ndim < 2:
        return
    if not x.is_floating_point():
        yield x.flatten(1).unsqueeze(2)
    elif x.ndim == 2:
        yield x.unsqueeze(2)
    elif x.ndim == 3:
        yield x
        if x.shape[2] != x.shape[1]:
            yield x.transpose(1, 2)
    else:
        yield x.flatten(2).transpose(1, 2)


def at_places(x: Tensor, count: int, places: int) -> Tensor | None:
    """An output or a target as (count, places or one fewer, numbers); None where it has no such."""
    for fewer in (places, places - 1):
        if x.ndim and x.shape[0] == count * fewer:
            return x.reshape(count, fewer, -1)
        if x.ndim < 2 or x.shape[0] != count or x.numel() % (count * fewer):
            continue
        if x.shape[1] == fewer:
            return x.reshape(count, fewer, -1)
        if x[0, 0].numel() == fewer:  # (n, classes, places), (n, channels, h, w)
            return x.flatten(2).transpose(1, 2)
        if x[0].numel() == fewer or (x.ndim > 2 and x.shape[1] * x.shape[2] == fewer):
            return x.reshape(count, fewer, -1)
    return None


def matching(x: Tensor, y: Tensor) -> tuple[float, float] | None:
    """Shares of targets (n, p, k) equal to the next and to the same place's input (n, p, k).

    Counted where neighbours of the input differ and a target is given; None for fewer than
    DIFFERENT such places. Targets that are the input in other units are equal.
    """
    x, y = x.detach(), y.detach()
    if y.shape[2] != x.shape[2]:
        return None
    long = min(x.shape[1] - 1, y.shape[1])
    here, after, aim = x[:, :long], x[:, 1 : long + 1], y[:, :long]
    given = (aim >= 0).all(2) if not aim.is_floating_point() else torch.ones_like(aim[..., 0] > 0)
    told = given & (here != after).any(2)
    if int(told.sum()) < DIFFERENT:
        return None
    return equal_share(after[told], aim[told]), equal_share(here[told], aim[told])


def equal_share(x: Tensor, y: Tensor) -> float:
    """Share of rows (m, k) that are equal; numbers may differ by a unit that all have in common."""
    if not x.is_floating_point() and not y.is_floating_point():
        return float((x == y).all(1).float().mean())
    x, y = x.cpu().double(), y.cpu().double()
    spread = float(y.std())
    if spread == 0 or float(x.std()) == 0:
        return 0.0
    slope = float(((x - x.mean()) * (y - y.mean())).mean() / x.var(correction=0))
    fitted = y.mean() + slope * (x - x.mean())
    alike = ((fitted - y).abs() < EQUAL * spread).all(1) & (abs(slope) > EQUAL)
    return float(alike.double().mean())


def changed(x: Tensor, row: Tensor, first: int, last: int) -> Tensor:
    """The input with its places first..last-1 taken from the next sample of the batch.

    `row` is one of its readings; a batch of one gives the places in reverse order of the whole.
    """
    other = row.roll(1, 0) if len(row) > 1 else row.flip(1)
    new = row.clone()
    new[:, first:last] = other[:, first:last]
    if not x.is_floating_point() or x.ndim == 2:
        return new.reshape(x.shape)
    if x.ndim == 3:
        return new if row.shape == x.shape else new.transpose(1, 2)
    return new.transpose(1, 2).reshape(x.shape)
