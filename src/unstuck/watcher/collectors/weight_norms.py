"""Norms of the weights, and the weight decay they are under."""

from torch.optim import Optimizer

from unstuck.watcher.collector import Collector, Watched
from unstuck.watcher.statistics import by_layer, dense, norms, places


class WeightNorms(Collector):
    """`weight_norm/<optimizer>[/<layer>]` and `weight_decay/<optimizer>`."""

    def __init__(self, watched: Watched) -> None:
        super().__init__(watched)
        self._layers: dict[int, str] = {}
        self._models: tuple[str, ...] = ()

    def before_step(self, name: str, optimizer: Optimizer) -> None:
        groups = optimizer.param_groups
        held = [p for group in groups for p in group["params"] if p.grad is not None]
        if not held:
            return
        models = self.watched.modules.models
        if tuple(models) != self._models:
            self._models = tuple(models)
            self._layers = {key: place.layer for key, place in places(models).items()}
        layers = [self._layers.get(id(p), "") for p in held]
        sizes = norms([dense(p.detach()) for p in held])
        self.recorder.vector(
            list(sizes.unbind()), lambda values: by_layer(f"weight_norm/{name}", layers, values)
        )
        decays = [group.get("weight_decay", 0.0) for group in groups[:16]]
        most = max((d for d in decays if isinstance(d, int | float)), default=0.0)
        self.recorder.numbers({f"weight_decay/{name}": most})
