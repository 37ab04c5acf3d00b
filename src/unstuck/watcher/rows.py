"""Samples as rows: a bounded part of a batch of vectors, and how alike its rows are.

All results stay on the device; nothing here waits for it.
"""

from typing import Any

import torch
from torch import Tensor

MOST_ROWS = 64  # pairs of so many rows are 2,016: their mean similarity is known to about 1 %
MOST_COLUMNS = 1024
TINY = 1e-12


def rows(value: Any) -> Tensor | None:
    """Up to `MOST_ROWS` x `MOST_COLUMNS` numbers of a batch (n, ...), one row a sample.

    None for what is no batch of vectors. Booleans and whole numbers become floats.
    """
    if not isinstance(value, Tensor) or value.is_complex() or value.layout != torch.strided:
        return None
    if value.ndim < 2 or value.shape[0] < 2 or value.numel() == 0:
        return None
    x = value.detach()
    x = x[:: -(-x.shape[0] // MOST_ROWS)].flatten(1)
    part: Tensor = x[:, :: -(-x.shape[1] // MOST_COLUMNS)].float()
    return part


def unit(x: Tensor) -> Tensor:
    """Rows of length one; zero rows stay zero."""
    length: Tensor = x.square().sum(dim=1, keepdim=True).sqrt()
    return x / length.clamp_min(TINY)


def off_diagonal(square: Tensor) -> Tensor:
    """The entries (n, n - 1) of a square matrix beside its diagonal."""
    n = square.shape[0]
    return square.flatten()[:-1].view(n - 1, n + 1)[:, 1:].reshape(n, n - 1)


def likeness(x: Tensor) -> Tensor:
    """Mean cosine between different rows, a scalar."""
    u = unit(x)
    return off_diagonal(u @ u.T).mean()


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """Pearson's correlation of two tensors of one shape; 0 where one of them is constant."""
    a, b = a.flatten() - a.mean(), b.flatten() - b.mean()
    found: Tensor = (a * b).sum() / (a.norm() * b.norm()).clamp_min(TINY)
    return found
