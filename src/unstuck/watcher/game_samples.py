"""Samples of a game as the discriminator is handed them: where the made ones are in its input."""

from typing import Any

import torch
from torch import Tensor

MOST_ROWS = 64  # of a batch that are compared with each other
MOST_NUMBERS = 512  # of a sample
FEWEST_ROWS = 4

Part = tuple[int, int, int]  # dimension, start and length of the made part of an input


def made_part(x: Tensor) -> Part | None:
    """The part of an input that has a graph where it was joined to a condition; None for all."""
    node: Any = x.grad_fn
    if node is None or not node.name().startswith("CatBackward"):
        return None
    start, found, dim = 0, None, node._saved_dim
    dim = dim - (1 << 64) if dim >= 1 << 63 else dim
    below = [
        (n._input_metadata[i].shape[dim] if n is not None else None) for n, i in node.next_functions
    ]
    whole, known = x.shape[dim], sum(b for b in below if b is not None)
    absent = [b for b in below if b is None]
    if len(absent) != 1 or len(below) != 2:
        return None
    for size in below:
        length = whole - known if size is None else size
        if size is not None:
            found = (dim, start, length)
        start += length
    return found


def spread_and_nearest(
    batches: list[Tensor], part: Part | None = None
) -> tuple[Tensor, Tensor] | None:
    """For each batch: how much samples differ at one position, how far the nearest other one is.

    Two vectors, root mean squares per number; of large batches and samples, a regular part.
    """
    rows = [_rows(x, part) for x in batches]
    count = min((len(r) if r is not None else 0) for r in rows)
    if count < FEWEST_ROWS:
        return None
    x = torch.stack([r[:count] for r in rows if r is not None]).float()
    spread = x.var(dim=1, correction=0).mean(1).sqrt()
    distance = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")
    itself = torch.eye(count, dtype=torch.bool, device=x.device)
    nearest = distance.masked_fill(itself, torch.inf).amin(2).median(1).values
    return spread, nearest / x.shape[2] ** 0.5


def _rows(x: Tensor, part: Part | None) -> Tensor | None:
    x = x.detach()
    if part is not None:
        dim, start, length = part
        if x.ndim <= (dim % x.ndim) or start + length > x.shape[dim]:
            return None
        x = x.narrow(dim, start, length)
    if x.ndim < 2 or not x.is_floating_point():
        return None
    rows = x[:MOST_ROWS].flatten(1)
    return rows[:, :: max(1, rows.shape[1] // MOST_NUMBERS) | 1]
