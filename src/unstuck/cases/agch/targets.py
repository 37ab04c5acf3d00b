"""How alike the codes of two items are to be: similarity targets without any label.

Within a batch (the published form): Z = [gamma_v x / |x|, gamma_t t / |t|], C = Z Z^T, D =
exp(-dist(Z) / rho), S = C * D; the targets are 2 S - 1, the graph's adjacency is S >= 0 before that
step. The worked example of the paper fits the plain distance, its formula has a root.

Diffused (ours): one graph of nearest neighbours over all training items, weighted by C; items are
placed by its leading eigenvectors, each times its eigenvalue, the trivial first one left out, and
S is the cosine of the places. That is a random walk's likeness cut to its slow modes (Belkin &
Niyogi, Laplacian Eigenmaps, 2003; Coifman & Lafon, Diffusion Maps, 2006): two items are alike that
share neighbours of neighbours, noise of single features is gone, and the mean target is near zero.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from unstuck.cases.agch.recipe import Recipe


class Targets(NamedTuple):
    """Of a batch, (n, n) each: what cosines of codes are to be, and the normalised adjacency."""

    similarity: Tensor
    adjacency: Tensor


def joint_features(x: Tensor, t: Tensor, recipe: Recipe) -> Tensor:
    """Prepared images (n, d) and texts (n, words) -> (n, d + words)."""
    z = torch.cat([recipe.gamma_image * normalize(x), recipe.gamma_text * normalize(t)], 1)
    return normalize(z) if recipe.renormalise else z


def batch_similarity(x: Tensor, t: Tensor, recipe: Recipe) -> Tensor:
    """S of a batch before the affine step, (n, n)."""
    z = joint_features(x, t, recipe)
    cosine = z @ z.T
    distance = torch.cdist(z, z)
    near = torch.exp(-(distance.sqrt() if recipe.root else distance) / recipe.rho)
    if recipe.similarity == "cosine":
        return cosine
    if recipe.similarity == "distance":
        return near
    return cosine * near if recipe.similarity == "product" else cosine + near


def diffused_similarity(x: Tensor, t: Tensor, recipe: Recipe) -> Tensor:
    """S of all training items, (n, n), in [-1, 1].

    ValueError where there are not more items than eigenvectors asked for.
    """
    if len(x) <= recipe.rank + 1:
        raise ValueError(f"rank {recipe.rank} needs more than {recipe.rank + 1} training items")
    graph = neighbour_graph(joint_features(x, t, recipe), min(recipe.neighbours, len(x) - 1))
    value, vector = torch.linalg.eigh(graph.double())
    last = None if recipe.trivial else -1  # ascending: the last is constant over a connected part
    kept = slice(-recipe.rank - 1, last)
    place = normalize(vector[:, kept] * value[kept].clamp_min(0))
    return (place @ place.T).float()


def neighbour_graph(z: Tensor, neighbours: int) -> Tensor:
    """Symmetric graph of nearest neighbours, D^-1/2 W D^-1/2: (n, d) -> (n, n)."""
    cosine = (z @ z.T).fill_diagonal_(-torch.inf)
    near = cosine.topk(neighbours, 1)
    weight = torch.zeros_like(cosine).scatter_(1, near.indices, near.values.clamp_min(0))
    return normalised(torch.maximum(weight, weight.T))


def normalised(adjacency: Tensor) -> Tensor:
    """D^-1/2 A D^-1/2 with the degrees of |A|: (n, n) -> (n, n)."""
    scale = adjacency.abs().sum(1).clamp_min(1e-9).rsqrt()
    return scale[:, None] * adjacency * scale


def targets_of(similarity: Tensor, recipe: Recipe) -> Targets:
    """From S of a batch (n, n): the affine step, and the adjacency as the recipe has it."""
    wanted = 2 * similarity - 1 if recipe.affine else similarity
    graph = wanted if recipe.adjacency == "target" else similarity.clamp_min(0)
    return Targets(wanted, normalised(graph))
