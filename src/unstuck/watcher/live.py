"""Live changes applied: to the loss a backward pass starts from, to an optimizer's step."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.optim import Optimizer

from unstuck.watcher.changes import Change
from unstuck.watcher.terms import Terms, derivatives


def reweighted(root: Tensor, terms: Terms, weights: Mapping[str, Change]) -> Tensor:
    """`root` plus (w' - w) x term for each changed term; `root` may be the loss scaled."""
    if not weights.keys() & terms.terms.keys():
        return root
    scale = (
        torch.ones_like(root)
        if root.grad_fn is terms.loss.grad_fn
        else derivatives(root, [terms.loss])[0]
    )
    for name in weights.keys() & terms.terms.keys():
        change, present = weights[name], terms.weights[name]
        wanted = (
            present * change.value if change.multiple else torch.full_like(present, change.value)
        )
        extra = (wanted - present).detach() * scale.detach() * terms.terms[name]
        root = root + extra.reshape(root.shape).to(root.dtype)
    return root


def set_learning_rates(optimizer: Optimizer, change: Change) -> list[float | Tensor]:
    """Set every group's learning rate; returns the rates to put back after the step."""
    before = [group["lr"] for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        present = group["lr"]
        group["lr"] = (
            torch.full_like(present, change.of(float(present)))
            if isinstance(present, Tensor)
            else change.of(present)
        )
    return before
