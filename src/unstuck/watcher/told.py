"""What no hook can know of a training: its script tells."""

from torch import Tensor

from unstuck.watcher.collector import Watched
from unstuck.watcher.modules import Modules
from unstuck.watcher.naming import clean


class Told:
    """Each is read on sampled steps only, in the process and thread that is watched."""

    _modules: Modules
    _watched: Watched

    def _mine(self) -> bool:
        raise NotImplementedError

    def embedding(self, name: str, codes: Tensor) -> None:
        """Tell of representations or codes (n, d), one row a sample."""
        self._told("embedding", (name,), (codes,))

    def pair(self, first: str, one: Tensor, second: str, other: Tensor) -> None:
        """Tell of two modalities' embeddings (n, d) each, row i of both of the same sample."""
        self._told("pair", (first, second), (one, other))

    def pool(self, losses: Tensor, name: str = "pool") -> None:
        """Tell of the losses (n,) of the samples kept in a pool or a replay buffer."""
        self._told("pool", (name,), (losses,))

    def targets(self, similarities: Tensor, name: str = "targets") -> None:
        """Tell of what is to be reached: similarity targets (n, n), or any target tensor."""
        self._told("targets", (name,), (similarities,))

    def generated(self, samples: Tensor, name: str = "generated") -> None:
        """Tell of a generator's output (n, ...), one sample a row."""
        self._told("generated", (name,), (samples,))

    def _told(self, kind: str, names: tuple[str, ...], tensors: tuple[Tensor, ...]) -> None:
        if (self._modules.listening or self._watched.closely) and self._mine():
            self._watched.told(kind, tuple(clean(n) for n in names), tensors)
