"""The terms of the loss: means over all elements of absolute differences, so in the units of what
they compare."""

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, l1_loss

from unstuck.cases.contrast.model import Outputs


def content_term(out: Outputs) -> Tensor:
    """|z_a - z_b|, which a constant z brings to zero, or, with a predictor, its SimSiam form."""
    if out.p_a is None or out.p_b is None:
        return l1_loss(out.z_a, out.z_b)
    return simsiam(out.p_a, out.z_b) / 2 + simsiam(out.p_b, out.z_a) / 2


def simsiam(predicted: Tensor, other: Tensor) -> Tensor:
    """1 - cosine over channels to the other contrast's latent, which gets no gradient.

    Chen, He, Exploring Simple Siamese Representation Learning, 2021, arXiv 2011.10566, eq. 1.
    """
    return 1 - cosine_similarity(predicted, other.detach(), dim=1).mean()


def recon_term(out: Outputs, a: Tensor, b: Tensor) -> Tensor:
    """Same-domain paths against their targets."""
    return l1_loss(out.a_from_a, a) / 2 + l1_loss(out.b_from_b, b) / 2


def cross_term(out: Outputs, a: Tensor, b: Tensor) -> Tensor:
    """Cross-domain paths against their targets."""
    return l1_loss(out.a_from_b, a) / 2 + l1_loss(out.b_from_a, b) / 2


def edge_term(out: Outputs, a: Tensor, b: Tensor) -> Tensor:
    """Differences of neighbouring pixels, cross-domain paths against their targets."""
    differences = [
        l1_loss(prediction.diff(dim=axis), target.diff(dim=axis))
        for prediction, target in ((out.a_from_b, a), (out.b_from_a, b))
        for axis in (2, 3)
    ]
    return torch.stack(differences).mean()
