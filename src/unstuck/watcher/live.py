"""Live changes applied: to the loss a backward pass starts from, to an optimizer's step."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.optim import Optimizer

from unstuck.watcher.changes import Change
from unstuck.watcher.terms import Terms, derivatives


def reweighted(root: Tensor, terms: Terms, weights: Mapping[str, Change]) -> tuple[Tensor, Terms]:
    """`root` and its terms after adding (w' - w) x term for each changed term.

    `root` may be the loss scaled (AMP) or divided (accumulation): the addition is scaled alike.
    """
    changed = weights.keys() & terms.terms.keys()
    if not changed:
        return root, terms
    wanted = dict(terms.weights)
    loss = terms.loss
    for name in changed:
        present, change = terms.weights[name], weights[name]
        new = present * change.value if change.multiple else torch.full_like(present, change.value)
        wanted[name] = new.detach()
        extra = (new - present).detach() * terms.terms[name]
        loss = loss + extra.reshape(loss.shape).to(loss.dtype)
    scale = torch.ones_like(root)
    if root.grad_fn is not terms.loss.grad_fn:
        scale = derivatives(root, [terms.loss])[0].reshape(root.shape)
    added = (loss - terms.loss).reshape(root.shape) * scale
    return root + added.to(root.dtype), Terms(loss, terms.terms, wanted)


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
