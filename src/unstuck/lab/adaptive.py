"""By what an adaptive optimizer divides each gradient."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim import Optimizer

SQUARES = ("max_exp_avg_sq", "exp_avg_sq", "square_avg", "sum")  # means or sums of squares
SIZES = ("exp_inf",)  # a size already


def divisors(optimizer: Optimizer | None, parameters: Sequence[Tensor]) -> list[Tensor] | None:
    """For each parameter what its gradient is divided by, up to one factor common to all.

    None for an optimizer that does not, that has made no step, or that keeps less than one number
    for each weight.
    """
    if optimizer is None:
        return None
    eps = {id(p): float(g.get("eps", 1e-8)) for g in optimizer.param_groups for p in g["params"]}
    found = []
    for parameter in parameters:
        state = optimizer.state.get(parameter, {})
        key = next((k for k in (*SQUARES, *SIZES) if k in state), None)
        if key is None or not isinstance(state[key], Tensor) or parameter.is_complex():
            return None
        if state[key].shape != parameter.shape:
            return None
        held = state[key].detach()
        size = held.abs().to(torch.float32)
        size = size if key in SIZES else size.sqrt()
        found.append(size + eps.get(id(parameter), 1e-8))
    return found or None
