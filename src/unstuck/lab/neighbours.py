"""Samples as rows of numbers: which are alike, which are the same, which labels are near.

A row is a sample flattened; pictures are averaged to at most 16 x 16, tokens counted, long rows
projected by fixed random numbers. Beside the values themselves there are summaries (quantiles and
spreads over each axis, for what has no order) and, of pictures, the mean answers of random filters
(for what may lie anywhere).
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from unstuck.lab.batch import tensors
from unstuck.records import Floats

SIDE = 16  # px
LONGEST = 512  # numbers of a row
FILTERS = 32
OTHERS = 10  # copies there may be of a sample
NEAR = 0.1  # of the usual distance to the nearest: a copy that was saved, resized or noised again

Features = dict[str, Floats]


def features(inputs: Any) -> Features:
    """Kinds of rows (n, d) of the samples of any container of tensors."""
    found: dict[str, list[Tensor]] = {}
    for tensor in samples_of(inputs):
        for kind, rows in _kinds(tensor):
            found.setdefault(kind, []).append(rows)
    joined = {kind: _short(torch.cat(rows, 1)) for kind, rows in found.items()}
    return {kind: np.asarray(rows.numpy(), dtype=np.float64) for kind, rows in joined.items()}


def samples_of(inputs: Any) -> list[Tensor]:
    """The tensors of a batch with an entry for each sample."""
    every = [t.detach() for t in tensors(inputs) if t.ndim]
    return [t for t in every if len(t) == len(every[0])]


def marks(inputs: Any) -> list[bytes]:
    """A checksum of every sample: equal where the samples are, bit by bit."""
    raw = [_plain(t).reshape(len(t), -1).contiguous().numpy() for t in samples_of(inputs)]
    return [
        hashlib.blake2b(b"".join(part[i].tobytes() for part in raw), digest_size=16).digest()
        for i in range(len(raw[0]) if raw else 0)
    ]


def _plain(tensor: Tensor) -> Tensor:
    """On the processor, of a kind that NumPy has, complex numbers as two."""
    plain = tensor.detach().cpu()
    if plain.is_complex():
        plain = torch.view_as_real(plain.resolve_conj()).movedim(-1, 1)
    return plain.float() if plain.dtype == torch.bfloat16 else plain


def comparable(kinds: Features) -> Floats:
    """Rows whose distance tells copies: of pictures as they are, else each column in its spread."""
    rows = kinds["values"]
    if "patches" not in kinds:
        return standard(rows)
    return np.asarray(np.nan_to_num(rows - rows.mean(0)))


def standard(rows: Floats) -> Floats:
    """Each column about its mean in its own spread; columns that are all the same left out."""
    with np.errstate(invalid="ignore"):
        clean = np.nan_to_num(rows, posinf=0.0, neginf=0.0)
    spread = clean.std(0)
    kept = spread > 1e-9 * max(float(np.abs(clean).max(initial=0.0)), 1e-300)
    return np.asarray((clean[:, kept] - clean[:, kept].mean(0)) / spread[kept])


def distances(a: Floats, b: Floats) -> Floats:
    """(n, m) between rows."""
    square = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    return np.asarray(np.sqrt(np.maximum(square, 0.0)))


def copies(rows: Floats) -> list[tuple[int, int]]:
    """Pairs (earlier, later) of rows nearly the same; each later row once."""
    if len(rows) < 2:
        return []
    apart = distances(rows, rows)
    np.fill_diagonal(apart, np.inf)
    limit = NEAR * _usual(apart)
    earlier = np.where(np.tri(len(rows), k=-1, dtype=bool), apart, np.inf)
    nearest = earlier.argmin(1)
    found = earlier[np.arange(len(rows)), nearest] < limit
    return [(int(nearest[i]), int(i)) for i in np.flatnonzero(found)]


def copied(rows: Floats, others: Floats) -> NDArray[np.bool_]:
    """Which of the rows are nearly the same as one of the others."""
    among = distances(others, others)
    np.fill_diagonal(among, np.inf)
    return np.asarray(distances(rows, others).min(1) < NEAR * _usual(among))


def _usual(apart: Floats) -> float:
    """How far the nearest is where nothing is a copy: from the farther ones, as space fills up.

    Distances to the k-th nearest grow as k to 1 / m in m dimensions (Levina & Bickel, 2004).
    """
    if len(apart) <= 4 * OTHERS:
        return 0.0
    near, far = np.median(
        np.partition(apart, (OTHERS, 2 * OTHERS), axis=1)[:, [OTHERS, 2 * OTHERS]], 0
    )
    if not near > 0:
        return 0.0
    slope = np.log2(max(far / near, 1.0))
    return float(near * OTHERS**-slope)


def by_chance(rows: Floats, count: int) -> float:
    """How many of `count` samples equal a further one by chance, were their numbers independent."""
    alike = 0.0
    for column in rows.T:
        _, often = np.unique(column, return_counts=True)
        alike += float(np.log((often / len(rows)) ** 2 @ np.ones(len(often))))
    return float(min(1.0, count * np.exp(alike)))


def _kinds(tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    tensor = _plain(tensor)
    if not tensor.is_floating_point() and tensor.dtype not in (torch.uint8, torch.bool):
        yield from _tokens(tensor)
        return
    plain = tensor.float()
    if plain.ndim == 4 and min(plain.shape[2:]) > 2:
        small = _pooled(plain, SIDE)
        yield "values", small.flatten(1)
        yield "patches", _answers(plain)
    else:
        yield "values", plain.reshape(len(plain), -1)
    if plain.ndim > 2:
        yield "summaries", _summaries(plain)


def _tokens(tokens: Tensor) -> Iterator[tuple[str, Tensor]]:
    """How often each token is there, and which stand at the ends; whole numbers as they are."""
    rows = tokens.reshape(len(tokens), -1).long()
    if rows.shape[1] < 2:
        yield "values", rows.float()
        return
    yield (
        "values",
        torch.zeros(len(rows), LONGEST).scatter_add_(1, rows % LONGEST, torch.ones(rows.shape)),
    )
    ends = torch.cat([rows[:, :8], rows[:, -8:]], 1)
    place = torch.arange(ends.shape[1]) * 9973
    yield (
        "ends",
        torch.zeros(len(rows), LONGEST).scatter_add_(
            1, (ends * 31 + place) % LONGEST, torch.ones(ends.shape)
        ),
    )


def _answers(pictures: Tensor) -> Tensor:
    """Means over the quarters of what random filters answer, about each picture's own level."""
    generator = torch.Generator().manual_seed(0)
    size = min(5, *pictures.shape[2:])
    weight = torch.randn(FILTERS, pictures.shape[1], size, size, generator=generator)
    weight = weight - weight.mean((1, 2, 3), keepdim=True)
    heard = functional.conv2d(_pooled(pictures, 64), weight)
    return functional.adaptive_avg_pool2d(heard.relu(), 2).flatten(1)


def _pooled(pictures: Tensor, side: int) -> Tensor:
    height, width = pictures.shape[2:]
    return functional.adaptive_avg_pool2d(pictures, (min(side, height), min(side, width)))


def _summaries(samples: Tensor) -> Tensor:
    """Means, spreads and quantiles over a channel's places, and over a place's channels."""
    flat = samples.flatten(2)
    parts = [flat, flat.transpose(1, 2)]
    at = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0])
    found = []
    for part in parts:
        if part.shape[1] <= 64 and part.shape[2] > 1:
            few = part[:, :, :: max(1, part.shape[2] // 1024)]
            quantiles = torch.quantile(few.nan_to_num(), at, dim=2).movedim(0, 1).flatten(1)
            found += [part.mean(2), part.std(2), quantiles]
    return torch.cat(found or [flat.mean(2)], 1)


def _short(rows: Tensor) -> Tensor:
    if rows.shape[1] <= LONGEST:
        return rows
    generator = torch.Generator().manual_seed(rows.shape[1])
    weight = torch.randn(rows.shape[1], LONGEST, generator=generator) / rows.shape[1] ** 0.5
    projected: Tensor = rows.nan_to_num() @ weight
    return projected
