"""Tissue maps of many subjects: what is where, before any scanner.

`average`: slices of one average brain (the embedded sample) in slightly different poses; every
subject looks like every other. `varied`: each subject turns, stretches and bends the slices
strongly, exchanges their tissues region by region, and adds pockets of fat, muscle and fluid, so
that no subject's anatomy predicts another's. Both have a skull and scalp fat around the brain.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch.nn.functional import affine_grid, grid_sample

Floats = NDArray[np.float64]

SAMPLE = Path(__file__).parent / "sample" / "slices.npz"
FIELD_MM = 240.0  # side of a sample slice
TISSUES = ("white", "grey", "csf", "fat", "muscle", "bone")
ONLY = (0.15, 0.15, 0.15, 0.4, 0.15)  # share of each soft tissue among one-tissue regions
PARTIAL_VOLUME = 1.0  # px, standard deviation: a voxel of some millimetres mixes tissues
BRAIN = 3  # the first three tissues are those of the sample


def tissue_maps(anatomy: str, subjects: int, slices: int, size: int, seed: int) -> Floats:
    """Fractions of each tissue, (subjects, slices, len(TISSUES), size, size); sums to <= 1."""
    rng = np.random.default_rng([seed, 1])
    varied = anatomy == "varied"
    warped = _posed(rng, subjects, slices, size, varied)
    brain = warped[:, :, :BRAIN] / 255.0
    if varied:
        brain = _exchanged(rng, brain)
    layers = _head(rng, warped[:, :, BRAIN], brain, varied)
    layers = _pockets(rng, layers) if varied else layers
    return np.asarray(gaussian_filter(layers, (0, 0, 0, PARTIAL_VOLUME, PARTIAL_VOLUME)))


def _posed(rng: np.random.Generator, subjects: int, slices: int, size: int, varied: bool) -> Floats:
    """Neighbouring sample slices of each subject in its own pose, (subjects, slices, 4, s, s)."""
    sample = np.load(SAMPLE)["maps"]
    first = rng.integers(0, len(sample) - slices + 1, subjects)
    chosen = sample[first[:, None] + np.arange(slices)]  # (subjects, slices, 4, 96, 96)
    angle = rng.uniform(-np.pi, np.pi, subjects) if varied else rng.normal(0, 0.05, subjects)
    spread, shift = (0.18, 0.12) if varied else (0.02, 0.01)
    stretch = np.exp(rng.normal(0, spread, (subjects, 2))) * (0.55 if varied else 1.0)
    turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], 1)
    affine = turn.reshape(-1, 2, 2) * stretch[:, :, None]
    move = rng.uniform(-shift, shift, (subjects, 2, 1))
    theta = torch.from_numpy(np.concatenate([affine, move], 2))
    grid = affine_grid(theta, [subjects, 1, size, size], align_corners=False)
    if varied:
        bend = smooth_fields(rng, (subjects, 2), size, 0.12 * size)
        grid = grid + 0.12 * torch.from_numpy(bend).movedim(1, 3)
    flat = torch.from_numpy(chosen.reshape(subjects, -1, *chosen.shape[-2:]).astype(np.float64))
    warped = grid_sample(flat, grid, padding_mode="border", align_corners=False)
    return warped.numpy().reshape(subjects, slices, -1, size, size)


def _exchanged(rng: np.random.Generator, brain: Floats) -> Floats:
    """Every soft tissue, exchanged region by region: in one of the smooth random regions the
    brain keeps its structure under a permutation of the tissues, the others hold one tissue each,
    often fat."""
    (subjects, slices), size, regions = brain.shape[:2], brain.shape[-1], 6
    soft = len(TISSUES) - 1  # every tissue but bone
    owner = smooth_fields(rng, (subjects, regions), size, 0.14 * size).argmax(1)
    order = rng.permuted(np.tile(np.arange(soft), (subjects, regions, 1)), axis=2)
    only = rng.choice(soft, p=ONLY, size=(subjects, regions))
    padded = np.zeros((subjects, slices, soft, size, size))
    padded[:, :, :BRAIN] = brain
    inside_brain = brain.sum(2, keepdims=True)
    result = np.zeros_like(padded)
    for region in range(regions):
        if region:
            one = np.eye(soft)[only[:, region]][:, None, :, None, None] * inside_brain
        else:
            one = np.take_along_axis(padded, order[:, region][:, None, :, None, None], axis=2)
        result += (owner == region)[:, None, None] * one
    return result


def _head(rng: np.random.Generator, distance: Floats, brain: Floats, varied: bool) -> Floats:
    """Adds fluid, bone and scalp fat around the brain, by the distance to it in mm."""
    count = len(distance)
    thickness = np.array([[4.0], [7.0], [8.0]])  # mm: fluid, bone, scalp fat
    if varied:
        thickness = thickness * np.exp(rng.normal(0, 0.4, (3, count)))
    edge = np.cumsum(thickness + np.zeros((3, count)), axis=0)[:, :, None, None, None]
    outside = np.clip(1 - brain.sum(2), 0, 1)
    ramp = FIELD_MM / distance.shape[-1] / 2  # half a pixel: partial volume
    within = [np.clip((e - distance) / (2 * ramp) + 0.5, 0, 1) for e in edge]
    fluid, bone, fat = within[0], within[1] - within[0], within[2] - within[1]
    layers = np.zeros((*brain.shape[:2], len(TISSUES), *brain.shape[-2:]))
    layers[:, :, : brain.shape[2]] = brain
    layers[:, :, TISSUES.index("csf")] += fluid * outside
    layers[:, :, TISSUES.index("bone")] = bone * outside
    layers[:, :, TISSUES.index("fat")] += fat * outside
    return layers


def _pockets(rng: np.random.Generator, layers: Floats) -> Floats:
    """Smooth pockets of fat, muscle and fluid of random place and extent, inside the head only."""
    subjects, size = len(layers), layers.shape[-1]
    head = layers.sum(2, keepdims=True)
    for tissue in ("fat", "muscle", "csf"):
        field = smooth_fields(rng, (subjects,), size, 0.1 * size)
        level = rng.uniform(0.8, 1.8, (subjects, 1, 1))
        share = (np.clip((field - level) * 4, 0, 1))[:, None, None] * head
        layers = layers * (1 - share)
        layers[:, :, TISSUES.index(tissue)] += share[:, :, 0]
    return layers


def smooth_fields(
    rng: np.random.Generator, shape: tuple[int, ...], size: int, sigma: float
) -> Floats:
    """Gaussian random fields of unit variance, (*shape, size, size), smooth over `sigma` px."""
    white = rng.standard_normal((*shape, size, size))
    smooth = gaussian_filter(white, (0,) * len(shape) + (sigma, sigma), mode="wrap")
    flat = smooth.reshape(*shape, -1)
    return np.asarray(smooth / flat.std(-1)[..., None, None])
