"""Reads fastMRI-style HDF5 folders: one file a volume, two contrasts of each subject.

A file holds `reconstruction_rss` (slices, h, w), or complex `kspace` (slices, h, w) of one coil or
(slices, coils, h, w), and says its contrast in the attribute `acquisition` (CORPD_FBK or
CORPDFS_FBK) or in its name (`..._PD.h5`, `..._PDFS.h5`). Two files belong together by the
attribute `patient_id`, or by the rest of their names.

Zbontar et al., fastMRI: An Open Dataset and Benchmarks for Accelerated MRI, 2018, arXiv 1811.08839
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

Complex = NDArray[np.complex128]

CONTRASTS = {"CORPD_FBK": "a", "CORPDFS_FBK": "b", "PD": "a", "PDFS": "b"}
NAMED = re.compile(r"(?<![A-Z0-9])(CORPDFS_FBK|CORPD_FBK|PDFS|PD)(?![A-Z0-9])", re.IGNORECASE)
LARGEST = 512 * 2**20  # bytes of one volume that are read


def read_pairs(folder: str, size: int) -> tuple[Complex, Complex, NDArray[np.int64]]:
    """Both contrasts, (n, size, size) complex with volumes scaled to a largest magnitude of 1,
    and the subject of each slice.

    The slices of a pair are matched in order, the middle of the field is cut out. Raises ValueError
    with one line that names the file and what is wrong.
    """
    root = Path(folder)
    if not root.is_dir():
        raise ValueError(f"{folder} is no folder of HDF5 files")
    files = sorted(root.glob("*.h5"))
    if not files:
        raise ValueError(f"{folder} holds no *.h5 file")
    volumes: dict[str, dict[str, Path]] = {}
    for path in files:
        subject, contrast = identity(path)
        other = volumes.setdefault(subject, {}).setdefault(contrast, path)
        if other != path:
            raise ValueError(f"{other.name} and {path.name} are the same contrast of one subject")
    complete = [pair for _, pair in sorted(volumes.items()) if len(pair) == 2]
    if len(complete) < 2:
        raise ValueError(
            f"{folder} holds both contrasts (PD and PDFS) of {len(complete)} subjects; "
            "training and test need at least 2"
        )
    images: dict[str, list[Complex]] = {"a": [], "b": []}
    subjects: list[int] = []
    for number, pair in enumerate(complete):
        a, b = (central(volume(pair[c]), size, pair[c].name) for c in ("a", "b"))
        count = min(len(a), len(b))
        images["a"].append(a[:count])
        images["b"].append(b[:count])
        subjects += [number] * count
    return np.concatenate(images["a"]), np.concatenate(images["b"]), np.array(subjects)


def identity(path: Path) -> tuple[str, str]:
    """Subject and contrast ("a" PD, "b" PD-FS) of a file, from its attributes or its name."""
    named = NAMED.search(path.stem)
    with opened(path) as file:
        acquisition = str(file.attrs.get("acquisition", named.group(0).upper() if named else ""))
        subject = str(file.attrs.get("patient_id", NAMED.sub("", path.stem)))
    if acquisition not in CONTRASTS:
        raise ValueError(
            f"{path.name}: no contrast; needs the attribute acquisition "
            f"({' or '.join(CONTRASTS)}) or one of these in its name"
        )
    return subject, CONTRASTS[acquisition]


def volume(path: Path) -> Complex:
    """(slices, h, w) with a largest magnitude of 1."""
    with opened(path) as file:
        name = next((n for n in ("kspace", "reconstruction_rss") if n in file), None)
        if name is None:
            raise ValueError(f"{path.name}: neither reconstruction_rss nor kspace in it")
        data = file[name]
        if not isinstance(data, h5py.Dataset) or data.dtype.kind not in "fciu":
            raise ValueError(f"{path.name}: {name} holds no numbers")
        if data.size * data.dtype.itemsize > LARGEST:
            raise ValueError(f"{path.name}: {name} is larger than {LARGEST >> 20} MiB")
        values = np.asarray(data[()])
    if name == "kspace" and values.ndim in (3, 4):
        values = from_kspace(values)
    if values.ndim != 3 or 0 in values.shape:
        raise ValueError(f"{path.name}: {name} has shape {values.shape}, not (slices, h, w)")
    top = np.abs(values).max()
    if not np.isfinite(top) or top == 0:
        raise ValueError(f"{path.name}: {name} is empty or not finite")
    return np.asarray(values / top, dtype=np.complex128)


def from_kspace(kspace: NDArray[np.complexfloating]) -> NDArray[np.complexfloating]:
    """Centred inverse Fourier transform; several coils become their root sum of squares."""
    axes = (-2, -1)
    image = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace, axes), norm="ortho"), axes)
    return image if image.ndim == 3 else np.sqrt((np.abs(image) ** 2).sum(1)).astype(complex)


def central(images: Complex, size: int, name: str) -> Complex:
    """The middle (size, size) of every slice."""
    height, width = images.shape[1:]
    if min(height, width) < size:
        raise ValueError(f"{name}: slices of {height} x {width} are smaller than the crop {size}")
    top, left = (height - size) // 2, (width - size) // 2
    return images[:, top : top + size, left : left + size]


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file for reading; ValueError with its name where it is none."""
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path.name} is no readable HDF5 file: {error}") from None
    with file:
        yield file
