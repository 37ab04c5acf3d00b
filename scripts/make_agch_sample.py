"""Make the emoji embedded in `cases/agch/sample/` from the packages they come from.

python scripts/make_agch_sample.py      (some 2 minutes and 160 MB of downloads the first time)
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unstuck.cases.agch.emoji import ACROSS, FOLDER, LEVELS, SIDE, STYLES
from unstuck.cases.agch.features import BATCH, made
from unstuck.cases.agch.retrieval import mean_average_precision
from unstuck.data.emoji import Entry, entries, on_white

FLAGS = 60
QUALITY = 80  # of the sheets


def chosen(found: list[Entry]) -> list[int]:
    """All but the bare skin tones, and of the flags a constant choice."""
    flags = [i for i, entry in enumerate(found) if entry.group == "Flags"]
    kept = np.random.default_rng(0).permutation(flags)[:FLAGS].tolist()
    return sorted(kept + [i for i, e in enumerate(found) if e.group not in ("Flags", "Component")])


def sheet(pictures: NDArray[np.uint8]) -> Image.Image:
    """All pictures at 32 px beside and below each other."""
    rows = -(-len(pictures) // ACROSS)
    page = Image.new("RGB", (ACROSS * SIDE, rows * SIDE), "white")
    for i, picture in enumerate(pictures):
        small = Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.BOX)
        page.paste(small, (i % ACROSS * SIDE, i // ACROSS * SIDE))
    return page


def precision(features: NDArray[np.float32], labels: NDArray[np.bool_]) -> float:
    """mAP@all of the cosine of features, every item asking all."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    return mean_average_precision(-unit @ unit.T, labels, labels, None)


def main() -> None:
    kept: dict[str, np.ndarray] = {}
    codes = []
    for style in STYLES:
        found = entries(style)
        rows = [found[i] for i in chosen(found)]
        codes.append([entry.code for entry in rows])
        pictures = np.stack([on_white(entry.picture) for entry in rows])
        steps = (pictures[i : i + BATCH] for i in range(0, len(pictures), BATCH))
        features = made(steps, len(pictures), style).numpy()
        largest = features.max(0).clip(1e-6)
        levels = np.rint(features / largest * LEVELS).astype(np.uint8)
        again = levels.astype(np.float32) / LEVELS * largest
        labels = np.array([e.group for e in rows])[:, None] == np.unique([e.group for e in rows])
        print(
            f"{style}: {len(rows)} emoji, off by at most {abs(again - features).max():.4f} and "
            f"{(abs(again - features) / largest).max():.4f} of the largest; mAP@all of the "
            f"cosine {precision(features, labels):.5f}, as kept {precision(again, labels):.5f}"
        )
        kept |= {f"{style}_levels": levels.T, f"{style}_largest": largest}
        sheet(pictures).save(FOLDER / f"{style}.webp", quality=QUALITY, method=6)
    assert codes[0] == codes[1], "the styles do not have the same emoji in the same order"
    kept["code"] = np.array(codes[0])
    kept["name"] = np.array([entry.name for entry in rows])
    kept["text"] = np.array([" ".join([entry.name, *entry.keywords]) for entry in rows])
    kept["group"] = np.array([entry.group for entry in rows])
    kept["subgroup"] = np.array([entry.subgroup for entry in rows])
    np.savez_compressed(FOLDER / "emoji.npz", **kept)
    for file in sorted(FOLDER.iterdir()):
        print(f"{file.name}: {file.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
