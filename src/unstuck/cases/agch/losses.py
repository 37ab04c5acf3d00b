"""The terms of the loss: means over all entries, so that batch and code length leave them alike."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss, normalize

from unstuck.cases.agch.model import Outputs

# what stood in the failing code instead of the recipe's weights
CONSTANT: Mapping[str, float] = {"alpha": 1.0, "beta": 1.0, "delta": 1.0}


def cosines(a: Tensor, b: Tensor) -> Tensor:
    """(n, bits) each -> (n, n)."""
    return normalize(a) @ normalize(b).T


def within_term(out: Outputs, wanted: Tensor) -> Tensor:
    """Cosines within the image, text and joint codes against the targets (weight alpha)."""
    codes = (out.image, out.text, out.joint)
    return torch.stack([mse_loss(cosines(b, b), wanted) for b in codes]).sum()


def between_term(out: Outputs, wanted: Tensor) -> Tensor:
    """Cosines between the kinds of codes against the targets (weight beta)."""
    pairs = ((out.image, out.text), (out.image, out.joint), (out.text, out.joint))
    return torch.stack([mse_loss(cosines(a, b), wanted) for a, b in pairs]).sum()


def graph_term(out: Outputs, wanted: Tensor) -> Tensor:
    """Graph codes: their cosines against the targets, their distance to the joint (delta)."""
    codes = [b for b in (out.graph_image, out.graph_text) if b is not None]
    if not codes:
        return out.joint.new_zeros(())
    parts = [mse_loss(cosines(b, b), wanted) + mse_loss(b, out.joint) for b in codes]
    return torch.stack(parts).sum()


def align_term(out: Outputs) -> Tensor:
    """Squared differences of partners' codes (weight align, the paper's lambda)."""
    return mse_loss(out.image, out.text)


def quantisation_term(out: Outputs) -> Tensor:
    """(|B| - 1)^2 of image and text codes."""
    return torch.stack([(b.abs() - 1).square().mean() for b in (out.image, out.text)]).sum()


def balance_term(out: Outputs) -> Tensor:
    """Square of each bit's mean over the batch, of image and text codes."""
    return torch.stack([b.mean(0).square().mean() for b in (out.image, out.text)]).sum()


def contrast_term(out: Outputs, temperature: float) -> Tensor:
    """Partners against strangers, both ways (van den Oord et al., 2018; Radford et al., 2021)."""
    score = cosines(out.image, out.text) / temperature
    partner = torch.arange(len(score), device=score.device)
    return (cross_entropy(score, partner) + cross_entropy(score.T, partner)) / 2
