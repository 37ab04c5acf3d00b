"""Published features of MIRFlickr-25K and NUS-WIDE: `.mat` files as hashing papers hand them round.

One file, or a folder of three, in MATLAB's format 5 or 7.3 (HDF5, which holds matrices transposed).
Images are under one of the keys `IMAGES`, texts under one of `TEXTS`, labels under one of `LABELS`,
whatever the case of their letters: `mirflickr25k-iall.mat` has IAll, `-yall.mat` YAll, `-lall.mat`
LAll; single files have FAll, YAll, LAll, or images, tags, labels, or I, T, L. Everything is
untrusted: nothing is unpickled, links out of a file are not followed, sizes are bounded.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.io import loadmat, whosmat
from scipy.sparse import csc_matrix, csr_matrix, issparse

from unstuck.cases.agch import mat5
from unstuck.cases.agch.whole import Whole

IMAGES = ("images", "image", "iall", "fall", "xall", "i", "img", "features", "x")
TEXTS = ("texts", "text", "tags", "tag", "yall", "tall", "t", "txt", "y")
LABELS = ("labels", "label", "lall", "l", "lab", "gnd")
PARTS = {"image features": IMAGES, "texts": TEXTS, "labels": LABELS}
MOST_NUMBERS = 1_500_000_000  # of one array: 270,000 items of 4,096 features are 1.1 billion
MOST_CLASSES = 1000  # of a single column
MOST_FILES = 20  # .mat files of a folder that are looked into
HDF5 = b"\x89HDF\r\n\x1a\n"
PLACES_OF_HDF5 = (0, 512, 1024, 2048)  # of its signature; MATLAB writes 512 bytes first

HARD = h5py.HardLink  # an entry of the file itself

Array = NDArray[Any]
Shapes = dict[str, tuple[int, ...]]
Place = tuple[Path, str]


def whole(path: str) -> Whole:
    """All items of a file or folder; ValueError in one line where it does not hold what is needed.

    Rows of all three are one item each; where an array's other side is as long as the others' rows
    it is turned. Items without a label are left out, as the published splits do; those without a
    text are kept.
    """
    place = Path(path)
    found = _found(place)
    items = _items({part: array.shape for part, array in found.items()}, place)
    images, texts, labels = (_upright(found[part], items) for part in PARTS)
    images = _dense(images).astype(np.float32)
    _finite(np.isfinite(images).all(1), "image features", place)
    words = csr_matrix(texts, dtype=np.float32)
    _finite(np.isfinite(np.asarray(words.sum(1))[:, 0]), "texts", place)
    words.eliminate_zeros()
    marks = _marks(_dense(labels), place)
    kept = np.flatnonzero(marks.any(1))
    if len(kept) < items:
        said = f"{items - len(kept):,} of {items:,} items have no label and are left out"
        print(f"{place}: {said}", file=sys.stderr)
    return Whole(
        torch.from_numpy(images if len(kept) == items else images[kept]),
        words[kept],
        tuple(f"word {i}" for i in range(words.shape[1])),
        marks[kept],
        tuple(f"class {i}" for i in range(marks.shape[1])),
        tuple(f"item {i}" for i in kept),
        np.arange(len(kept)),
    )


def _items(shapes: Mapping[str, tuple[int, ...]], place: Path) -> int:
    """The number of items: a side that all arrays have, the first one where it can be."""
    sides = [set(shape) for shape in shapes.values()]
    common = set.intersection(*sides)
    for shape in shapes.values():
        for side in shape:
            if side in common:
                return side
    said = ", ".join(f"{part} {a:,} x {b:,}" for part, (a, b) in shapes.items())
    raise ValueError(f"{place}: the arrays are of unequal lengths: {said}")


def _upright(array: Any, items: int) -> Any:
    """(items, columns), turned where the items lie along the other side."""
    return array if array.shape[0] == items else array.T


def _dense(array: Any) -> Array:
    return np.asarray(array.toarray() if issparse(array) else array)


def _finite(rows: Any, part: str, place: Path) -> None:
    if bad := int((~rows).sum()):
        raise ValueError(
            f"{place}: {bad:,} of {len(rows):,} rows of {part} hold NaN or infinite values; "
            "leave these items out of all three arrays"
        )


def _marks(labels: Array, place: Path) -> NDArray[np.bool_]:
    """(items, classes) from ones and zeros (or -1), or from one column of class numbers."""
    _finite(np.isfinite(labels).all(1), "labels", place)
    if labels.shape[1] > 1:
        marks: NDArray[np.bool_] = labels > 0
        return marks
    classes = np.unique(labels)
    if not 1 < len(classes) <= MOST_CLASSES:
        raise ValueError(
            f"{place}: labels are one column of {len(classes):,} values; expected one column a "
            "class, or the number of each item's class"
        )
    return np.asarray(labels == classes)


def _found(place: Path) -> dict[str, Any]:
    """One array for each of `PARTS`, from whichever file has it."""
    if not place.exists():
        raise ValueError(f"{place} does not exist: give a .mat file of features, or their folder")
    files = [place] if place.is_file() else sorted(place.glob("*.mat"))[:MOST_FILES]
    if not files:
        raise ValueError(f"{place} holds no .mat file")
    held = {file: _shapes(file) for file in files}
    found: dict[str, Array] = {}
    for part, keys in PARTS.items():
        file, key = _chosen(held, part, keys, place)
        _check(held[file][key], part, f"{file.name}: {key}")
        found[part] = _array(file, key)
    return found


def _chosen(held: Mapping[Path, Shapes], part: str, keys: Sequence[str], place: Path) -> Place:
    """The file and key of the first of the keys that any file has."""
    for wanted in keys:
        for file, shapes in held.items():
            for key in shapes:
                if key.lower() == wanted:
                    return file, key
    there = "; ".join(f"{file.name} holds {_listed(shapes)}" for file, shapes in held.items())
    raise ValueError(f"no {part} in {place} (known keys: {', '.join(keys)}): {there[:600]}")


def _listed(shapes: Shapes) -> str:
    found = [f"{key[:40]} ({' x '.join(map(str, shape))})" for key, shape in shapes.items()]
    return ", ".join(found) or "nothing"


def _check(shape: tuple[int, ...], part: str, named: str) -> None:
    """Refuse a shape that is no matrix of features before anything is read."""
    if part == "image features" and len(shape) > 2:
        raise ValueError(
            f"{named} holds raw pictures of shape {shape}: features are wanted, such as the 4,096 "
            "numbers of a network's last layer but one, (items, features)"
        )
    if len(shape) != 2 or not all(shape):
        raise ValueError(f"{named} is of shape {shape}, expected (items, columns)")
    if shape[0] * shape[1] > MOST_NUMBERS:
        raise ValueError(f"{named} of shape {shape} has more than {MOST_NUMBERS:,} numbers")


def _shapes(file: Path) -> Shapes:
    """Names and shapes of what a file holds, without reading it."""
    try:
        if not _is_hdf5(file):
            return {name: tuple(shape) for name, shape, _ in whosmat(str(file))}
        with h5py.File(file, "r") as opened:
            own = [name for name in opened if isinstance(opened.get(name, getlink=True), HARD)]
            return {name: _shape(opened[name]) for name in own if not name.startswith("#")}
    except Exception as error:  # readers fail on foreign bytes in more ways than they say
        raise ValueError(f"{file} is not a .mat file that can be read: {_said(error)}") from None


def _said(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:150]


def _is_hdf5(file: Path) -> bool:
    with file.open("rb") as opened:
        start = opened.read(max(PLACES_OF_HDF5) + len(HDF5))
    return any(start[at : at + len(HDF5)] == HDF5 for at in PLACES_OF_HDF5)


def _shape(entry: Any) -> tuple[int, ...]:
    """As MATLAB would say it; a sparse matrix is a group with the number of its rows."""
    if isinstance(entry, h5py.Dataset):
        return tuple(reversed(entry.shape or ()))
    if "MATLAB_sparse" in entry.attrs and "jc" in entry:
        return int(entry.attrs["MATLAB_sparse"]), len(entry["jc"]) - 1
    return ()


def _array(file: Path, key: str) -> Any:
    """One matrix, dense or sparse (scipy), (rows, columns) as MATLAB had it."""
    try:
        if _is_hdf5(file):
            with h5py.File(file, "r") as opened:
                found = _of_hdf5(opened[key])
        else:
            mat5.check(file, key)
            found = loadmat(str(file), variable_names=[key])[key]
        if issparse(found):  # its indices are used unchecked from here on
            found.check_format(full_check=True)
    except Exception as error:
        raise ValueError(f"{file.name}: {key} cannot be read: {_said(error)}") from None
    if not (np.issubdtype(found.dtype, np.number) or found.dtype == bool):
        raise ValueError(f"{file.name}: {key} holds {found.dtype} and no numbers")
    if np.issubdtype(found.dtype, np.complexfloating):
        raise ValueError(f"{file.name}: {key} holds complex numbers")
    return found


def _of_hdf5(entry: Any) -> Any:
    if isinstance(entry, h5py.Dataset):
        return _own(entry).T
    shape = _shape(entry)
    if "data" not in entry:  # no number but zeros
        return csc_matrix(shape, dtype=np.float32)
    parts = tuple(_own(entry[name]) for name in ("data", "ir", "jc"))
    return csc_matrix(parts, shape=shape)


def _own(dataset: Any) -> Array:
    """The numbers of a dataset that lies in its file and not behind a link to another."""
    if dataset.external or dataset.is_virtual:
        raise ValueError("its numbers lie in another file")
    if dataset.size > MOST_NUMBERS:
        raise ValueError(f"more than {MOST_NUMBERS:,} numbers")
    return np.asarray(dataset[()])
