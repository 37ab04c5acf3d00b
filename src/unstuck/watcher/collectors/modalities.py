"""Two modalities: does a sample of the one find its partner among those of the other?"""

import torch
from torch import Tensor

from unstuck.watcher.collector import Collector
from unstuck.watcher.rows import off_diagonal, rows, unit

SAME = 1e-5  # cosines closer than this are equal: codes that are all alike rank nothing


class Modalities(Collector):
    """`pair/<first>:<second>/...` of what `pair` is told."""

    hears = ("pair",)

    def told(self, kind: str, names: tuple[str, ...], tensors: tuple[Tensor, ...]) -> None:
        if tensors[0].shape[:1] != tensors[1].shape[:1]:
            return
        a, b = rows(tensors[0]), rows(tensors[1])
        if a is None or b is None or a.shape != b.shape:
            return
        cosine = unit(a) @ unit(b).T
        paired = cosine.diagonal()
        values = [agreement(cosine), paired.mean(), off_diagonal(cosine).mean()]
        where = f"pair/{names[0]}:{names[1]}"
        self.hold(values, [f"{where}/{key}" for key in ("agreement", "paired", "unpaired")])


def agreement(cosine: Tensor) -> Tensor:
    """Share of all other samples that are less like a sample than its partner is.

    Both ways, ties for one half: 0.5 is chance, 1 is perfect.
    """
    partner = cosine.diagonal()[:, None]
    ahead = torch.cat([partner - off_diagonal(cosine), partner - off_diagonal(cosine.T)])
    won = torch.sign(ahead * (ahead.abs() > SAME))
    return (1 + won.mean()) / 2
