"""Pairs of images of the same slice in two contrasts, from the physics of the scan.

Contrast a: proton density (PD). Contrast b: the same with the fat suppressed (PD-FS). Signal of
a tissue in a spin echo: PD (1 - exp(-TR/T1)) exp(-TE/T2); a frequency-selective pulse leaves a
residue of the fat. Images are complex (a smooth phase; two channels, real and imaginary), noise
is complex Gaussian, and every image is acquired twice: training sees the first acquisition and is
compared with the second (Lehtinen et al., Noise2Noise, 2018), tests compare with the noiseless
image. Subjects in training and test are disjoint.

Tissue parameters: Kwan, Evans, Pike, MRI simulation-based evaluation of image-processing and
classification methods, IEEE TMI 18, 1999 (those of BrainWeb, 1.5 T).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unstuck.cases.contrast.anatomy import TISSUES, Floats, smooth_fields, tissue_maps
from unstuck.cases.contrast.recipe import Recipe

Complex = NDArray[np.complex128]

T1 = {"white": 500, "grey": 833, "csf": 2569, "fat": 350, "muscle": 900, "bone": 1000}  # ms
T2 = {"white": 70, "grey": 83, "csf": 329, "fat": 70, "muscle": 47, "bone": 1}  # ms
DENSITY = {"white": 0.77, "grey": 0.86, "csf": 1.0, "fat": 1.0, "muscle": 1.0, "bone": 0.05}
REPETITION_MS, ECHO_MS = 2800.0, 30.0  # usual for PD-weighted turbo spin echo
FAT_RESIDUE = 0.15  # of the fat's signal after suppression, on average
GAIN = 1500.0  # receiver units of a signal of 1: scanners give some hundreds to thousands


@dataclass(frozen=True)
class Pairs:
    """Aligned image pairs, all (n, 2, size, size) float32, real and imaginary part.

    a, b: first acquisition; a_again, b_again: second; a_clean, b_clean: without noise (measured
    data has only one acquisition: all three are the same). `a_unit`, `b_unit` (n): the root mean
    square of the first acquisition in the images' own units, 1 where images are normalised.
    `subject` (n): whose slice it is.
    """

    a: Tensor
    b: Tensor
    a_again: Tensor
    b_again: Tensor
    a_clean: Tensor
    b_clean: Tensor
    a_unit: Tensor
    b_unit: Tensor
    subject: Tensor

    def __len__(self) -> int:
        return len(self.subject)

    def __getitem__(self, index: Tensor | slice) -> "Pairs":
        return Pairs(*(getattr(self, name)[index] for name in self.__dataclass_fields__))

    def to(self, device: str) -> "Pairs":
        return Pairs(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


def make_pairs(recipe: Recipe, seed: int) -> tuple[Pairs, Pairs]:
    """Training and held-out pairs of a recipe; the same for the same seed."""
    if recipe.data:
        from unstuck.cases.contrast.fastmri import read_pairs

        clean_a, clean_b, subject = read_pairs(recipe.data, recipe.crop_size)
        test = max(1, round(recipe.test_share * len(np.unique(subject))))
    else:
        clean_a, clean_b, subject = physics(recipe, seed)
        test = recipe.test_subjects
    pairs = acquired(clean_a, clean_b, subject, recipe, seed)
    held_out = pairs.subject >= len(np.unique(subject)) - test
    return pairs[~held_out].to(recipe.device), pairs[held_out].to(recipe.device)


def physics(recipe: Recipe, seed: int) -> tuple[Complex, Complex, NDArray[np.int64]]:
    """Noiseless complex images of both contrasts, (n, size, size), and the subject of each."""
    subjects, slices, size = recipe.subjects, recipe.slices, recipe.crop_size
    varied = recipe.anatomy == "varied"
    maps = tissue_maps(recipe.anatomy, subjects, slices, size, seed)
    rng = np.random.default_rng([seed, 2])
    signal = tissue_signals(rng, subjects, 0.4 if varied else 0.0)
    scans = subjects if varied else 1  # the average subject lies in the same field every time
    residue = FAT_RESIDUE * np.exp(0.5 * smooth_fields(rng, (scans,), size, 0.2 * size))
    phase = np.exp(0.15j * smooth_fields(rng, (scans,), size, 0.25 * size))
    image_a, image_b = contrasts(maps, signal, residue)
    subject = np.repeat(np.arange(subjects), slices)
    flat = (-1, size, size)
    return (
        (image_a * phase[:, None]).reshape(flat),
        (image_b * phase[:, None]).reshape(flat),
        subject,
    )


def tissue_signals(rng: np.random.Generator, subjects: int, spread: float) -> Floats:
    """Signal of each tissue of each subject, (subjects, tissues); `spread`: log-std of PD, T1, T2
    over subjects."""

    by_tissue = spread * np.array([0.2 if t == "fat" else 1.0 for t in TISSUES])

    def of(table: Mapping[str, float]) -> Floats:
        mean = np.array([table[t] for t in TISSUES])
        return np.asarray(mean * np.exp(by_tissue * rng.standard_normal((subjects, len(TISSUES)))))

    saturation = 1 - np.exp(-REPETITION_MS / of(T1))
    return np.asarray(of(DENSITY) * saturation * np.exp(-ECHO_MS / of(T2)))


def contrasts(maps: Floats, signal: Floats, residue: Floats) -> tuple[Floats, Floats]:
    """PD and PD-FS images, (subjects, slices, size, size); `residue` (subjects, size, size) is
    what suppression leaves of the fat."""
    by_tissue = maps * signal[:, None, :, None, None]
    fat = by_tissue[:, :, TISSUES.index("fat")]
    full = by_tissue.sum(2)
    return full, full - fat * (1 - residue[:, None])


def acquired(
    clean_a: Complex, clean_b: Complex, subject: NDArray[np.int64], recipe: Recipe, seed: int
) -> Pairs:
    """Two noisy acquisitions of each image, scaled to unit root mean square or left raw."""
    rng = np.random.default_rng([seed, 3])
    images: dict[str, Tensor] = {}
    for name, clean in (("a", clean_a), ("b", clean_b)):
        level = recipe.noise * np.sqrt(np.mean(np.abs(clean_a) ** 2))  # the same in both contrasts
        first, second = (GAIN * (clean + level * _white(rng, clean.shape)) for _ in range(2))
        unit = np.sqrt(np.mean(np.abs(first) ** 2))
        divisor = 1.0 if recipe.raw_scale else unit
        images[name] = _channels(first / divisor)
        images[f"{name}_again"] = _channels(second / divisor)
        images[f"{name}_clean"] = _channels(GAIN * clean / divisor)
        images[f"{name}_unit"] = torch.full((len(clean),), float(unit / divisor))
    return Pairs(**images, subject=torch.from_numpy(subject))


def batches(pairs: Pairs, size: int, steps: int, seed: int) -> Iterator[Pairs]:
    """`steps` random batches, each subject equally often; the order depends on the seed alone."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.empty(0, dtype=torch.int64)
    for _ in range(steps):
        while len(order) < size:
            order = torch.cat([order, torch.randperm(len(pairs), generator=generator)])
        yield pairs[order[:size].to(pairs.a.device)]
        order = order[size:]


def _white(rng: np.random.Generator, shape: tuple[int, ...]) -> Complex:
    """Complex Gaussian noise of unit power."""
    parts = rng.standard_normal((2, *shape))
    return np.asarray((parts[0] + 1j * parts[1]) / np.sqrt(2))


def _channels(image: Complex) -> Tensor:
    """(n, s, s) complex -> (n, 2, s, s) float32."""
    return torch.from_numpy(np.stack([image.real, image.imag], 1)).float()
