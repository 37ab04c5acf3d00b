"""Pools of samples that are trained on again and again: how their losses are distributed."""

from torch import Tensor

from unstuck.watcher.collector import Collector
from unstuck.watcher.statistics import SAMPLE

FEWEST = 4
WORST = 10  # one in so many is among the worst


class Pools(Collector):
    """`pool/<name>/...` of what `pool` is told."""

    hears = ("pool",)

    def told(self, kind: str, names: tuple[str, ...], tensors: tuple[Tensor, ...]) -> None:
        losses = tensors[0].detach().reshape(-1)
        if losses.numel() < FEWEST:
            return
        ordered = losses[:: -(-losses.numel() // SAMPLE)].float().sort().values
        count = ordered.numel()
        worst = ordered[-max(1, count // WORST) :]
        values = [
            ordered[count // 2],
            ordered[count // WORST],
            worst.mean(),
            worst.sum() / ordered.sum(),
        ]
        keys = ("median", "best", "worst", "worst_share")
        self.hold(values, [f"pool/{names[0]}/{key}" for key in keys])
