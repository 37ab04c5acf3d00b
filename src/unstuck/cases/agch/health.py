"""Whether codes use what they have: are there many, do bits split the items, do modalities agree.

What a healthy run shows is beside each measure; a random code has the same, but for the distances.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Signs = NDArray[np.int8]
Reals = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]

MOST_PAIRS = 2_000  # items of which all pairs are looked at, where it is about pairs


def health(
    codes_image: Signs,
    codes_text: Signs,
    real_image: Reals | None = None,
    real_text: Reals | None = None,
    targets: Reals | None = None,
    labels: Bools | None = None,
) -> dict[str, float]:
    """Measures by name, of codes (n, bits) of -1 and 1; row i of both is item i.

    For each modality, "image/..." and "text/...":

    unique_share        different codes over items, 0..1; collapsed codes: near 0
    balance_gap         mean over bits of |mean over items|, 0..1; 0: every bit splits the items
    bit_entropy         mean entropy of a bit over the items, in bits, 0..1; 1: fifty-fifty
    stuck_bits          share of bits that are the same for every item, 0..1
    bit_correlation     mean |correlation| of two different bits over the items, 0..1; 0: no bit
                        repeats another; stuck bits are left out, and without two others it is 1
    quantisation_gap    mean of | |b| - 1 | of the codes before the sign, 0..1 (with `real_...`)

    Between the modalities, distances over bits, 0..1:

    paired_distance     share of bits that differ between an item's image and its own text
    unpaired_distance   the same of the image and another item's text, mean over all such pairs
    pairing_gap         unpaired minus paired; 0: a text says nothing of its own image

    With `targets` (n, n) and `labels` (n, classes): "target/...", over all pairs of two items

    relevant, irrelevant    mean target of pairs that share a label, and of those that do not
    gap                     relevant minus irrelevant
    above_zero              share of targets above 0
    relevance_correlation   correlation of target and relevance, -1..1; 0 if one does not vary

    Pairs are those of the first 2,000 items where there are more. ValueError with one line for
    arrays that do not fit.
    """
    _check(codes_image, codes_text, real_image, real_text, targets, labels)
    found: dict[str, float] = {}
    for kind, codes, real in (
        ("image", codes_image, real_image),
        ("text", codes_text, real_text),
    ):
        found |= {f"{kind}/{name}": value for name, value in bits_of(codes).items()}
        if real is not None:
            found[f"{kind}/quantisation_gap"] = float(np.abs(np.abs(real) - 1).mean())
    found |= pairing(codes_image, codes_text)
    if targets is not None and labels is not None:
        found |= {f"target/{name}": v for name, v in calibration(targets, labels).items()}
    return found


def bits_of(codes: Signs) -> dict[str, float]:
    """The measures of one modality's codes (n, bits)."""
    packed = np.packbits(codes > 0, axis=1)
    mean = codes.mean(0, dtype=np.float64)
    return {
        "unique_share": len(np.unique(packed, axis=0)) / len(codes),
        "balance_gap": float(np.abs(mean).mean()),
        "bit_entropy": float(_entropy((1 + mean) / 2).mean()),
        "stuck_bits": float((np.abs(mean) == 1).mean()),
        "bit_correlation": _correlation(codes[:, np.abs(mean) < 1]),
    }


def pairing(image: Signs, text: Signs) -> dict[str, float]:
    """The measures between the modalities; one item alone has no other, its gap is 0."""
    paired = float((image != text).mean())
    items, bits = len(image), image.shape[1]
    if items < 2:
        return {"paired_distance": paired, "unpaired_distance": paired, "pairing_gap": 0.0}
    # sums over all pairs, with those of one item taken out; whole numbers, so nothing is lost
    product = image.sum(0, dtype=np.int64) @ text.sum(0, dtype=np.int64)
    own = (image.astype(np.int64) * text).sum()
    unpaired = float((1 - (product - own) / (items * (items - 1) * bits)) / 2)
    return {
        "paired_distance": paired,
        "unpaired_distance": unpaired,
        "pairing_gap": unpaired - paired,
    }


def calibration(targets: Reals, labels: Bools) -> dict[str, float]:
    """How well targets (n, n) tell relevant pairs, that share a label, from the others."""
    some = min(len(labels), MOST_PAIRS)
    own = labels[:some].astype(np.float32)
    pair = ~np.eye(some, dtype=bool)
    target = np.asarray(targets[:some, :some], dtype=np.float64)[pair]
    relevant = ((own @ own.T) > 0)[pair]
    means = [float(target[rows].mean()) if rows.any() else 0.0 for rows in (relevant, ~relevant)]
    varies = target.std() > 0 and 0 < relevant.mean() < 1
    return {
        "relevant": means[0],
        "irrelevant": means[1],
        "gap": means[0] - means[1],
        "above_zero": float((target > 0).mean()),
        "relevance_correlation": float(np.corrcoef(target, relevant)[0, 1]) if varies else 0.0,
    }


def _entropy(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """In bits, of a bit that is 1 in this share of the items."""
    kept = np.clip(share, 1e-300, 1)
    other = np.clip(1 - share, 1e-300, 1)
    return np.asarray(-share * np.log2(kept) - (1 - share) * np.log2(other))


def _correlation(codes: Signs) -> float:
    """Mean absolute correlation of two different bits, none of them stuck."""
    bits = codes.shape[1]
    if bits < 2:
        return 1.0
    centred = codes - codes.mean(0, dtype=np.float64)
    centred /= np.linalg.norm(centred, axis=0)
    every = np.abs(centred.T @ centred)
    return float((every.sum() - np.trace(every)) / (bits * (bits - 1)))


def _check(
    image: Signs,
    text: Signs,
    real_image: Reals | None,
    real_text: Reals | None,
    targets: Reals | None,
    labels: Bools | None,
) -> None:
    for kind, codes, real in (("image", image, real_image), ("text", text, real_text)):
        if codes.ndim != 2 or 0 in codes.shape or not (np.abs(codes) == 1).all():
            raise ValueError(f"{kind} codes must be rows of -1 and 1; take signs first")
        if real is not None and (real.shape != codes.shape or not np.isfinite(real).all()):
            raise ValueError(f"real {kind} codes must be numbers, {codes.shape} like their signs")
    if image.shape != text.shape:
        raise ValueError(f"image codes are {image.shape}, text codes {text.shape}: give pairs")
    if (targets is None) != (labels is None):
        raise ValueError("targets are judged by labels: give both or none")
    if targets is not None and labels is not None:
        if labels.ndim != 2 or len(labels) < 2 or targets.shape != (len(labels),) * 2:
            raise ValueError(f"targets {targets.shape} and labels {labels.shape} do not fit")
        if not np.isfinite(targets).all():
            raise ValueError("some targets are not numbers (NaN or infinite)")
