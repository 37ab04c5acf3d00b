"""A few numbers that stand for a large tensor, without a copy of the rest."""

import torch
from torch import Tensor

from unstuck.watcher.statistics import dense


def excerpt(tensor: Tensor, most: int) -> Tensor:
    """At most some `most` of its numbers, spread over all of it: a new vector of float32.

    Tensors of one shape give the same places. Whole rows are left out first, which is a view
    whatever the memory format.
    """
    x = dense(tensor.detach())
    if x.ndim > 1 and x.numel() > most:
        x = x[:: -(-x.numel() // most)]
    flat = x.reshape(-1)
    stride = max(1, -(-flat.numel() // most)) | 1  # odd: no power-of-two axis is aliased
    return flat[::stride].to(torch.float32, copy=True)
