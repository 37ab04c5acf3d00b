"""The terms of the two losses; every function gives one number for a batch."""

import torch
import torch.nn.functional as F
from torch import Tensor

Scores = tuple[Tensor, Tensor]  # (n, 1) of real pairs, and of drawn ones for the same characters


def discriminator_term(real: Tensor, drawn: Tensor, kind: str, smoothing: float = 0.0) -> Tensor:
    """What a discriminator pays for scores (n, 1) of real and of drawn pairs.

    vanilla: cross-entropy, the sum of both halves (Goodfellow et al. 2014), with targets
    1 - `smoothing` and `smoothing`; hinge (Lim & Ye 2017); relativistic: each drawn pair against
    the real one of its character (Jolicoeur-Martineau 2018, as paired in R3GAN, Huang et al. 2024).
    """
    if kind == "relativistic":
        return F.softplus(drawn - real).mean()
    if kind == "hinge":
        return F.relu(1 - real).mean() + F.relu(1 + drawn).mean()
    wanted = torch.full_like(real, 1 - smoothing), torch.full_like(drawn, smoothing)
    cross_entropy = F.binary_cross_entropy_with_logits
    return cross_entropy(real, wanted[0]) + cross_entropy(drawn, wanted[1])


def adversarial_term(real: Tensor, drawn: Tensor, kind: str) -> Tensor:
    """What the generator pays; `real` matters to the relativistic kind alone."""
    if kind == "relativistic":
        return F.softplus(real - drawn).mean()
    return -drawn.mean() if kind == "hinge" else F.softplus(-drawn).mean()


def gradient_penalty(scores: Tensor, pictures: Tensor) -> Tensor:
    """Mean squared length of the scores' gradient by `pictures` (n, 1, s, s): R1, or R2.

    Mescheder et al., "Which training methods for GANs do actually converge?" (2018), eq. 9, without
    gamma / 2.
    """
    (gradient,) = torch.autograd.grad(scores.sum(), pictures, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean()


def const_term(source: Tensor, drawn: Tensor, kind: str) -> Tensor:
    """How far the code (n, c, h, w) of what was drawn is from that of its source."""
    if kind == "pooled":
        return F.mse_loss(drawn.mean((2, 3)), source.mean((2, 3)))
    return F.l1_loss(drawn, source)


def matching_term(real: list[Tensor], drawn: list[Tensor]) -> Tensor:
    """L1 of what a network saw, mean over its layers; nothing is learnt from the real side."""
    pairs = zip(real, drawn, strict=True)
    return torch.stack([F.l1_loss(d, r.detach()) for r, d in pairs]).mean()


def right(real: Tensor, drawn: Tensor, kind: str) -> Tensor:
    """Share of what a discriminator gets right: chance is 0.5.

    A real pair is to be above the threshold, a drawn one below. The threshold is zero, and the
    median of all scores where the kind is relativistic: only differences of its scores count.
    """
    threshold = torch.cat([real, drawn]).median() if kind == "relativistic" else 0.0
    return torch.cat([real > threshold, drawn <= threshold]).float().mean()


def augmented(pictures: Tensor, moves: Tensor, holes: Tensor) -> Tensor:
    """Translation and cutout (n, c, s, s), differentiable: all channels of a sample alike.

    Zhao et al., "Differentiable augmentation for data-efficient GAN training" (2020). `moves` and
    `holes` (n, 2) are in [0, 1): moves by up to an eighth of the side, holes of half the side.
    """
    side = pictures.shape[-1]
    reach, half = side // 8, side // 4
    padded = F.pad(pictures, (reach,) * 4, value=1.0)
    places = torch.arange(side, device=pictures.device)
    corner = (moves * (2 * reach + 1)).long()
    rows = (corner[:, :1] + places)[:, None, :, None]
    columns = (corner[:, 1:] + places)[:, None, None, :]
    first = torch.arange(len(pictures), device=pictures.device)[:, None, None, None]
    channels = torch.arange(pictures.shape[1], device=pictures.device)[None, :, None, None]
    moved = padded[first, channels, rows, columns]
    centre = (holes * side).long()
    inside = [(places - centre[:, i : i + 1]).abs() < half for i in (0, 1)]
    hole = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return torch.where(hole, torch.ones_like(moved), moved)
