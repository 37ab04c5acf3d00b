"""All items of a data set, before any split: what every source of data gives."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor


@dataclass(frozen=True)
class Whole:
    """n items in a fixed order; an item's key is its row."""

    images: Tensor  # (n, d_image) float32
    texts: csr_matrix  # (n, words) float32, 1 where the item has the word
    vocabulary: tuple[str, ...]
    labels: NDArray[np.bool_]  # (n, classes)
    classes: tuple[str, ...]
    names: tuple[str, ...]
    families: NDArray[np.int64]  # (n,), equal where two items are one thing drawn twice

    def __len__(self) -> int:
        return len(self.names)


def one_hot(names: list[str]) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """One class an item: labels (n, classes), and the classes in the order of the alphabet."""
    classes, index = np.unique(np.array(names), return_inverse=True)
    return np.eye(len(classes), dtype=bool)[index], tuple(classes.tolist())


def bag(texts: list[list[str]]) -> tuple[csr_matrix, tuple[str, ...]]:
    """Lists of words -> (n, words) with ones, and the words in the order of the alphabet."""
    vocabulary = tuple(sorted({word for words in texts for word in words}))
    column = {word: i for i, word in enumerate(vocabulary)}
    rows = [sorted({column[word] for word in words}) for words in texts]
    indices = np.array([i for row in rows for i in row], dtype=np.int32)
    starts = np.cumsum([0, *(len(row) for row in rows)])
    shape = (len(texts), len(vocabulary))
    return csr_matrix((np.ones(len(indices), np.float32), indices, starts), shape), vocabulary
