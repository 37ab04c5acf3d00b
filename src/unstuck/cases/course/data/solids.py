"""Drawn solids: points on their surfaces, and signed distances to them.

Points: seven kinds, stretched, turned about the upright axis, measured with noise, centred and
scaled to about unit size. Distances: negative inside; the minimum of two is their union, the
maximum their intersection, max(a, -b) is a without b (exact only as to its sign near edges).
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]
KINDS = ("sphere", "box", "cylinder", "cone", "torus", "tetrahedron", "two balls")


def clouds(count: int, points: int, seed: int, noise: float = 0.02) -> tuple[Tensor, Tensor]:
    """Clouds (count, points, 3) and their kinds (count,)."""
    random = np.random.default_rng(seed)
    kinds = random.integers(0, len(KINDS), count)
    made = np.stack([_cloud(KINDS[kind], points, noise, random) for kind in kinds])
    return torch.from_numpy(made).float(), torch.from_numpy(kinds)


def _cloud(kind: str, points: int, noise: float, random: np.random.Generator) -> Array:
    cloud = surface(kind, points, random) * random.uniform(0.7, 1.3, 3)
    turn = random.uniform(0, 2 * np.pi)
    cosine, sine = np.cos(turn), np.sin(turn)
    cloud = cloud @ np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    cloud += noise * random.standard_normal(cloud.shape)
    cloud -= cloud.mean(0)
    return cloud / np.sqrt((cloud**2).sum(1).mean())


def surface(kind: str, points: int, random: np.random.Generator) -> Array:
    """(points, 3) on the surface of a solid of about unit size."""
    u, v = random.random(points), random.random(points)
    around = 2 * np.pi * u
    match kind:
        case "sphere":
            return _ball(points, random)
        case "box":
            side, flat = random.integers(0, 3, points), random.uniform(-1, 1, (points, 3))
            flat[np.arange(points), side] = random.choice([-1.0, 1.0], points)
            return flat
        case "cylinder":  # a third of its surface are the lids
            lid = random.random(points) < 1 / 3
            radius = np.where(lid, np.sqrt(v), 1)
            height = np.where(lid, random.choice([-1.0, 1.0], points), 2 * v - 1)
            return np.stack([radius * np.cos(around), radius * np.sin(around), height], 1)
        case "cone":
            base = random.random(points) < 0.3
            radius, height = np.sqrt(v), np.where(base, -1, 1 - 2 * np.sqrt(v))
            return np.stack([radius * np.cos(around), radius * np.sin(around), height], 1)
        case "torus":
            return torus(around, 2 * np.pi * v, 1.0, 0.4)
        case "tetrahedron":
            corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], float)
            faces = np.array([[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]])
            weights = random.dirichlet((1, 1, 1), points)
            chosen = corners[faces[random.integers(0, 4, points)]]
            return np.einsum("ni,nij->nj", weights, chosen)
        case "two balls":
            apart = np.where(u[:, None] < 0.5, 0.8, -0.8) * np.array([0, 0, 1])
            return 0.6 * _ball(points, random) + apart
    raise ValueError(f"no solid {kind!r}; there are: {', '.join(KINDS)}")


def _ball(points: int, random: np.random.Generator) -> Array:
    away = random.standard_normal((points, 3))
    return away / np.linalg.norm(away, axis=1, keepdims=True)


def sphere(u: Array, v: Array, radius: float) -> Array:
    """The parametric sphere, u in [0, 2 pi), v in [-pi/2, pi/2]."""
    x, y = np.cos(u) * np.cos(v), np.sin(u) * np.cos(v)
    return radius * np.stack([x, y, np.sin(v)], -1)


def torus(u: Array, v: Array, large: float, small: float) -> Array:
    """The parametric torus, both angles in [0, 2 pi)."""
    away = large + small * np.cos(v)
    return np.stack([away * np.cos(u), away * np.sin(u), small * np.sin(v)], -1)


def sphere_distance(points: Tensor, radius: float) -> Tensor:
    return points.norm(dim=-1) - radius


def torus_distance(points: Tensor, large: float, small: float) -> Tensor:
    ring = points[..., :2].norm(dim=-1) - large
    return torch.stack([ring, points[..., 2]], -1).norm(dim=-1) - small


def box_distance(points: Tensor, half: float) -> Tensor:
    """To a cube with edges of 2 `half`."""
    beyond = points.abs() - half
    return beyond.clamp(min=0).norm(dim=-1) + beyond.max(-1).values.clamp(max=0)


def cylinder_distance(points: Tensor, radius: float) -> Tensor:
    """To an upright cylinder without ends."""
    return points[..., :2].norm(dim=-1) - radius


def union(a: Tensor, b: Tensor) -> Tensor:
    return torch.minimum(a, b)


def intersection(a: Tensor, b: Tensor) -> Tensor:
    return torch.maximum(a, b)


def difference(a: Tensor, b: Tensor) -> Tensor:
    return torch.maximum(a, -b)


def chamfer_distance(a: Tensor, b: Tensor) -> Tensor:
    """Mean squared distance to the nearest point, both ways; (n, 3) and (m, 3)."""
    apart = torch.cdist(a, b) ** 2
    return apart.min(1).values.mean() + apart.min(0).values.mean()
