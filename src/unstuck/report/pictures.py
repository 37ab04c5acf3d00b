"""Pictures in a report: rows of images with column titles, embedded as PNG."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8] | bytes | None  # HxW or HxWx3 or x4 array, PNG bytes, or a gap

PNG_MARK = b"\x89PNG\r\n\x1a\n"
MOST_BYTES = 8_000_000  # of all PNGs of one report; the rows beyond are left out
MOST_SIDE = 4_096  # pixels of an array's side


@dataclass(frozen=True, slots=True)
class Pictures:
    """A grid of pictures. `columns` are its titles; each row is as long as `columns`."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Picture, ...], ...]
    row_titles: tuple[str, ...] = ()
    caption: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a row of {len(row)} pictures under {len(self.columns)} titles")
        if self.row_titles and len(self.row_titles) != len(self.rows):
            raise ValueError(f"{len(self.row_titles)} row titles for {len(self.rows)} rows")


def embedded(pictures: Pictures) -> tuple[list[list[str]], int]:
    """Rows of data URIs ("" for a gap), and how many rows did not fit."""
    rows: list[list[str]] = []
    used = 0
    for row in pictures.rows:
        images = [png(picture) if picture is not None else b"" for picture in row]
        used += sum(map(len, images))
        if used > MOST_BYTES:
            break
        rows.append([_uri(image) if image else "" for image in images])
    return rows, len(pictures.rows) - len(rows)


def png(picture: NDArray[np.uint8] | bytes) -> bytes:
    """The picture as PNG. Raises ValueError for what is no picture, ImportError without Pillow."""
    if isinstance(picture, bytes):
        if not picture.startswith(PNG_MARK):
            raise ValueError("picture bytes must be a PNG file")
        return picture
    _check(picture)
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            "pictures given as arrays need Pillow: pip install 'unstuck[cases]'"
        ) from error
    buffer = BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _check(picture: NDArray[np.uint8]) -> None:
    shape: Sequence[int] = picture.shape
    good = len(shape) == 2 or (len(shape) == 3 and shape[2] in (3, 4))
    if picture.dtype != np.uint8 or not good:
        raise ValueError(f"a picture is uint8, HxW or HxWx3 or HxWx4, not {picture.dtype} {shape}")
    if not 0 < min(shape[:2]) <= max(shape[:2]) <= MOST_SIDE:
        raise ValueError(f"a picture's sides are 1 to {MOST_SIDE} pixels, not {shape[:2]}")


def _uri(image: bytes) -> str:
    return f"data:image/png;base64,{b64encode(image).decode('ascii')}"
