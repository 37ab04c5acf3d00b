"""Codes that other methods make of the same features, and what the features give uncompressed.

    random      every bit of every item drawn anew
    constant    one code for everything
    lsh         random hyperplanes (Charikar, 2002). They give images and words no shared space, so
                they cut the canonical one of all its directions
    cca-itq     as many canonical directions as bits, rotated towards the corners of the cube (Gong,
                Lazebnik, Gordo, Perronnin, Iterative Quantization, PAMI 35, 2013)
    djsrh       networks that learn a joint similarity (djsrh.py)

Canonical directions are those of a regularised canonical correlation analysis, each as long as its
correlation (Gong, Ke, Isard, Lazebnik, A multi-view embedding space, IJCV 106, 2014, with power 1).

All is fitted on the training items alone. Codes are by name, (items, bits) int8 of -1 and 1:
query_image, query_text, database_image, database_text.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unstuck.cases.agch.dataset import Pairs, Split
from unstuck.cases.agch.djsrh import djsrh

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Codes = dict[str, NDArray[np.int8]]
Method = Callable[[Split, int, int], Codes]  # split, bits, seed

NAMES = ("query_image", "query_text", "database_image", "database_text")
REGULARISATION = 10.0  # of a modality's mean variance, added to each; best of .1 to 1,000 on emoji
ROTATIONS = 50  # iterations of Gong et al.
TINY = 1e-12
HALF = np.float32(np.sqrt(0.5))  # of the features of both, in length


def codes(name: str, split: Split, bits: int, seed: int) -> Codes:
    """The codes of a method of METHODS; ValueError with one line for any other."""
    if name not in METHODS:
        raise ValueError(f"no baseline {name!r}; there are: {', '.join(METHODS)}")
    if bits < 1:
        raise ValueError(f"codes need at least one bit, got {bits}")
    return METHODS[name](split, bits, seed)


def feature_distances(split: Split) -> dict[str, Singles]:
    """Negative cosines (queries, database) of the features themselves: no code is made.

    "image to text" compares the query's image with the database's images, "text to image" its words
    with the database's words, weighted by rareness; "both" compares image and words together, which
    no query of one modality can do. No bound in the strict sense: a code may do better, as it can
    learn from the other modality what its own does not show.
    """
    features = {
        "image to text": _items(split, "images", _unit_images(split)),
        "text to image": _items(split, "texts", _unit_texts(split)),
    }
    features["both"] = {
        side: HALF * np.concatenate([each[side] for each in features.values()], 1)
        for side in ("query", "database")
    }
    return {way: -(found["query"] @ found["database"].T) for way, found in features.items()}


def _items(
    split: Split, kind: str, prepared: Callable[[Singles], Singles]
) -> Mapping[str, Singles]:
    return {side: prepared(_numbers(getattr(split, side), kind)) for side in ("query", "database")}


def _random(split: Split, bits: int, seed: int) -> Codes:
    rng = np.random.default_rng(seed)
    return {
        f"{side}_{kind}": _signs(rng.standard_normal((len(pairs), bits)))
        for side, pairs in _sides(split)
        for kind in ("image", "text")
    }


def _constant(split: Split, bits: int, seed: int) -> Codes:
    return {
        f"{side}_{kind}": np.ones((len(pairs), bits), np.int8)
        for side, pairs in _sides(split)
        for kind in ("image", "text")
    }


def _lsh(split: Split, bits: int, seed: int) -> Codes:
    shared = canonical(split)
    planes = np.random.default_rng(seed).standard_normal((shared["query_image"].shape[1], bits))
    return {name: _signs(shared[name] @ planes) for name in NAMES}


def _cca_itq(split: Split, bits: int, seed: int) -> Codes:
    shared = canonical(split, bits)
    train = np.concatenate([shared["train_image"], shared["train_text"]])
    rotated = rotation(train, bits, seed)
    return {name: _signs(shared[name] @ rotated) for name in NAMES}


def canonical(split: Split, most: int | None = None) -> dict[str, Floats]:
    """Items in the space that images and words share, (items, directions), of unit length.

    `most` directions, those of the greatest correlation; also of `train_image` and `train_text`.
    """
    train = _numbers(split.train, "images"), _numbers(split.train, "texts")
    weight = _rareness(train[1])
    images, texts = directions(train[0], train[1] * weight, most)
    sides = *_sides(split), ("train", split.train)
    found = {f"{side}_image": images(_numbers(pairs, "images")) for side, pairs in sides}
    found |= {f"{side}_text": texts(_numbers(pairs, "texts") * weight) for side, pairs in sides}
    return {name: _unit(points) for name, points in found.items()}


def directions(
    a: Singles, b: Singles, most: int | None = None
) -> tuple[Callable[[Singles], Floats], Callable[[Singles], Floats]]:
    """Maps of rows like those of `a` and of `b` into their canonical space.

    Regularised canonical correlation analysis: singular vectors of the whitened cross-covariance.
    """
    means = a.mean(0, dtype=np.float64), b.mean(0, dtype=np.float64)
    left, right = a - means[0], b - means[1]
    whiten = [_inverse_root(x.T @ x / len(x)) for x in (left, right)]
    u, correlation, vt = np.linalg.svd(
        whiten[0] @ (left.T @ right / len(left)) @ whiten[1], full_matrices=False
    )
    scale = correlation[:most]
    maps = whiten[0] @ u[:, :most] * scale, whiten[1] @ vt.T[:, :most] * scale
    return _affine(maps[0], means[0]), _affine(maps[1], means[1])


def _affine(matrix: Floats, mean: Floats) -> Callable[[Singles], Floats]:
    """x -> (x - mean) @ matrix without a copy of x, which may be a whole database."""
    single, shift = matrix.astype(np.float32), mean @ matrix
    return lambda x: np.asarray(x @ single - shift)


def _inverse_root(covariance: Floats) -> Floats:
    """Of a covariance with REGULARISATION of its mean variance on its diagonal."""
    size = len(covariance)
    ridge = REGULARISATION * max(float(np.trace(covariance)) / size, TINY)
    values, vectors = np.linalg.eigh(covariance + ridge * np.eye(size))
    return np.asarray(vectors / np.sqrt(values) @ vectors.T)


def rotation(points: Floats, bits: int, seed: int) -> Floats:
    """(directions, bits) that brings points (n, directions) near the corners: ITQ.

    Alternates between the nearest corners and the rotation nearest to them (Procrustes). Where
    there are fewer directions than bits, its rows are orthonormal.
    """
    rng = np.random.default_rng(seed)
    square = np.linalg.qr(rng.standard_normal((max(points.shape[1], bits),) * 2))[0]
    turned = square[: points.shape[1], :bits]
    for _ in range(ROTATIONS):
        u, _, vt = np.linalg.svd(points.T @ np.sign(points @ turned), full_matrices=False)
        turned = u @ vt
    return np.asarray(turned)


def _sides(split: Split) -> tuple[tuple[str, Pairs], tuple[str, Pairs]]:
    return ("query", split.query), ("database", split.database)


def _unit_images(split: Split) -> Callable[[Singles], Singles]:
    mean = _numbers(split.train, "images").mean(0)
    return lambda x: _unit(x - mean)


def _unit_texts(split: Split) -> Callable[[Singles], Singles]:
    weight = _rareness(_numbers(split.train, "texts"))
    return lambda x: _unit(x * weight)


def _rareness(texts: Singles) -> Singles:
    """Logarithm of one over the share of items that have each word, (words,)."""
    return np.asarray(np.log(len(texts) / np.maximum(texts.sum(0), 1)), dtype=np.float32)


def _numbers(pairs: Pairs, kind: str) -> Singles:
    return np.asarray(getattr(pairs, kind).numpy(), dtype=np.float32)


def _unit(x: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), TINY))


def _signs(x: Floats) -> NDArray[np.int8]:
    return np.where(x >= 0, 1, -1).astype(np.int8)


METHODS: Mapping[str, Method] = {
    "random": _random,
    "constant": _constant,
    "lsh": _lsh,
    "cca-itq": _cca_itq,
    "djsrh": djsrh,
}
