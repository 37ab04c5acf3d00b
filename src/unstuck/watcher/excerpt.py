"""A few numbers that stand for a large tensor, without a copy of the rest."""

import torch
from torch import Tensor

from unstuck.watcher.statistics import dense


def excerpt(tensor: Tensor, most: int) -> Tensor:
    """At most `most` of its numbers, spread over all of it: a vector, in general a view.

    Tensors of one shape give the same places. Of what does not lie in memory row by row, whole
    rows are left out first, so that it need not be copied.
    """
    x = dense(tensor.detach())
    x = torch.view_as_real(x) if x.is_complex() else x
    if x.ndim > 1 and x.numel() > most and not x.is_contiguous():
        x = x[:: -(-x.numel() // most)]
    flat = x.reshape(-1)
    if flat.numel() <= most:
        return flat
    return flat[:: -(-flat.numel() // most) | 1]  # odd: no power-of-two axis is aliased
