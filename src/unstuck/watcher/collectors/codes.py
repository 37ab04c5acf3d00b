"""Binary codes: how many differ, how alike they are, constant bits, distance from +-1."""

import re
from typing import Any

from torch import Tensor, nn

from unstuck.watcher.collector import Collector
from unstuck.watcher.rows import off_diagonal, rows

# What the user tells of by such a name, and modules that are called so, put out codes.
TOLD_NAME = re.compile(r"(.*[._])?(hash|hashes|hashing|codes|bits?|binary)([._].*)?|b(_.*)?\d*")
MODULE_NAME = re.compile(
    r"(.*_)?(hash|hashing|hasher|binari[sz]er|(hash|binary)_?codes?)(_head|_layer|_fc)?\d*"
)
LEAST_BITS = 4
ONE_SIDED = 0.9  # mean sign of a bit: 95 % of the samples have the same


class Codes(Collector):
    """`codes/<name>/...` of embeddings told as codes, and of modules named after hashing."""

    hears = ("embedding",)

    def told(self, kind: str, names: tuple[str, ...], tensors: tuple[Tensor, ...]) -> None:
        if TOLD_NAME.fullmatch(names[0].lower()):
            self._read(names[0], tensors[0])

    def forward(
        self, name: str, module: nn.Module, args: tuple[Any, ...], output: Any, outermost: bool
    ) -> None:
        if MODULE_NAME.fullmatch(name.rsplit(".", 1)[-1].lower()):
            self._read(name, output)

    def _read(self, name: str, codes: Any) -> None:
        x = rows(codes)
        if x is None or x.shape[1] < LEAST_BITS:
            return
        numbers = statistics(x)
        self.hold(list(numbers.values()), [f"codes/{name}/{key}" for key in numbers])


def statistics(x: Tensor) -> dict[str, Tensor]:
    """Of codes (n, bits) around zero, or from 0 to 1."""
    x = x.where(x.min() < 0, 2 * x - 1)
    bits = x.shape[1]
    signs = (x >= 0).float() * 2 - 1
    alike = signs @ signs.T / bits
    repeated = (alike > 1 - 1 / bits).float().tril(-1).amax(dim=1)  # an earlier row is the same
    size = x.abs()
    return {
        "unique": 1 - repeated.mean(),
        "similarity": off_diagonal(alike).mean(),
        "constant": (signs.mean(dim=0).abs() > ONE_SIDED).float().mean(),
        "gap": (size - 1).abs().mean(),
        "largest": size.amax(),
    }
