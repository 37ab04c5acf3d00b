"""An index of binary codes: which items' codes differ in the fewest bits.

FAISS does the searching (Douze et al., The Faiss library, 2024): every code compared, or, for large
databases, only those in the lists whose centres are nearest to the query. Bits are packed; where
they are no multiple of 8, both sides are padded alike, which no distance sees.
"""

import os
import struct
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray

HEAD = struct.Struct("<8sqii")  # MAGIC, items, bits, approximate; then the packed codes
MAGIC = b"AGCHIDX1"
MOST_BITS = 1024
LISTS = 2.0  # of an approximate index, times the root of the items
LEAST = 40  # items for each list's centre
PROBED = 1 / 16  # of the lists, those nearest to a query
ROUNDS = 8  # of the search for the centres


class Index:
    """Codes (items, bits) int8 of -1 and 1; row i is item i.

    Exact unless `approximate`, which looks at the items of some lists only. Measured on one core,
    64 bits in 200 clusters, the 50 nearest of 200,000 and of a million items: every code compared
    .14 and .61 ms a query; lists .03 and .09 ms with .999 of the nearest, made in 3 and 14 s. Of
    200,000 codes without clusters lists find .61: below some 100,000 items they are not worth it.
    ValueError for other codes, ImportError where FAISS is missing.
    """

    def __init__(self, codes: NDArray[np.int8], approximate: bool = False) -> None:
        packed = pack(codes)
        if not len(packed):
            raise ValueError("an index needs at least one code")
        self._build(packed, codes.shape[1], approximate)

    def _build(self, packed: NDArray[np.uint8], bits: int, approximate: bool) -> None:
        self.bits, self.approximate, self._packed = bits, approximate, packed
        self._found: Any = _lists(packed) if approximate else _flat(packed.shape[1])
        self._found.add(packed)

    def __len__(self) -> int:
        return len(self._packed)

    def search(
        self, codes: NDArray[np.int8], k: int
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Distances in bits and rows of the k nearest items of each query, (queries, k), nearest
        first; all items where k is more. Which of tied items come is left open.
        """
        if k < 1:
            raise ValueError(f"a search is for at least 1 item, got {k}")
        packed = pack(codes)
        if codes.shape[1] != self.bits:
            raise ValueError(f"the index has {self.bits} bits and the query {codes.shape[1]}")
        k = min(k, len(self))
        distances, rows = self._found.search(packed, k)
        short = (rows < 0).any(1)  # the lists that were looked at hold fewer than k
        if short.any():
            distances[short], rows[short] = self._everywhere(packed[short], k)
        return distances, rows

    def _everywhere(self, packed: NDArray[np.uint8], k: int) -> tuple[Any, Any]:
        flat = _flat(packed.shape[1])
        flat.add(self._packed)
        return flat.search(packed, k)  # type: ignore[no-any-return]

    def save(self, path: Path) -> None:
        """Writes a file that `load` reads; it is whole or not there."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("wb", dir=path.parent, prefix=f".{path.name}.", delete=False) as d:
            try:
                d.write(HEAD.pack(MAGIC, len(self), self.bits, self.approximate))
                self._packed.tofile(d)
                d.flush()
                os.fsync(d.fileno())
                Path(d.name).replace(path)
            except BaseException:
                Path(d.name).unlink(missing_ok=True)
                raise

    @classmethod
    def load(cls, path: Path) -> "Index":
        """The index that `save` wrote; ValueError with one line where a file is none.

        The file holds the codes; lists are made anew, since lists from a file could point anywhere
        in memory. No code is read before the file is as long as its head says.
        """
        with path.open("rb") as file:
            head = file.read(HEAD.size)
            if len(head) < HEAD.size or not head.startswith(MAGIC):
                raise ValueError(f"{path} is no index of codes")
            _, items, bits, approximate = HEAD.unpack(head)
            width = -(-bits // 8)
            if items < 1 or not 1 <= bits <= MOST_BITS or approximate not in (0, 1):
                raise ValueError(f"{path} is damaged: {items} items of {bits} bits")
            if os.fstat(file.fileno()).st_size != HEAD.size + items * width:
                raise ValueError(f"{path} is damaged: it is not as long as its {items} codes")
            packed = np.fromfile(file, np.uint8).reshape(items, width)
        if bits % 8 and (packed[:, -1] & (255 >> bits % 8)).any():
            raise ValueError(f"{path} is damaged: its codes have more than {bits} bits")
        index = cls.__new__(cls)
        index._build(packed, bits, bool(approximate))
        return index


def pack(codes: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Codes (n, bits) of -1 and 1 as bytes (n, ceil(bits / 8)), padded with 0 bits."""
    if codes.ndim != 2 or not 1 <= codes.shape[1] <= MOST_BITS or not (np.abs(codes) == 1).all():
        raise ValueError(f"codes must be rows of -1 and 1, 1 to {MOST_BITS} bits: take signs first")
    return np.packbits(codes > 0, axis=1)


def _flat(width: int) -> Any:
    """Compares every code of `width` bytes."""
    return _faiss().IndexBinaryFlat(8 * width)


def _lists(packed: NDArray[np.uint8]) -> Any:
    """Empty lists with centres found among the codes (n, bytes)."""
    bits = 8 * packed.shape[1]
    count = max(1, min(len(packed) // LEAST, round(LISTS * len(packed) ** 0.5)))
    lists = _faiss().IndexBinaryIVF(_flat(packed.shape[1]), bits, count)
    lists.cp.niter = ROUNDS
    lists.cp.min_points_per_centroid = 1
    lists.nprobe = max(1, round(PROBED * count))
    lists.train(packed)
    return lists


def _faiss() -> Any:
    try:
        import faiss
    except ImportError:
        raise ImportError("an index of codes needs FAISS: pip install faiss-cpu") from None
    return faiss
