"""How much of a mean over the batch one backward pass brings in.

A mean loss that is divided by the number of micro-batches weighs as much less; a sum of losses, or
one that is not divided, weighs one for each pass.
"""

from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from unstuck.watcher.collector import Collector, Watched

MOST = 16  # losses in one backward pass


class LossWeights(Collector):
    """Derivative of what is backpropagated with respect to the mean losses in it."""

    functions = (
        "torch.nn.functional.cross_entropy",
        "torch.nn.functional.nll_loss",
        "torch.nn.functional.mse_loss",
        "torch.nn.functional.l1_loss",
        "torch.nn.functional.smooth_l1_loss",
        "torch.nn.functional.huber_loss",
        "torch.nn.functional.binary_cross_entropy",
        "torch.nn.functional.binary_cross_entropy_with_logits",
        "torch.nn.functional.kl_div",
    )

    every_step = True  # a loss that is only looked at is let go by the next backward pass

    def __init__(self, watched: Watched) -> None:
        super().__init__(watched)
        self._means: list[Tensor] = []

    def called(self, function: str, args: tuple[Any, ...], options: Any, result: Any) -> None:
        mean = options.get("reduction", "mean") in ("mean", "batchmean")
        if mean and isinstance(result, Tensor) and result.requires_grad and result.numel() == 1:
            self._means = [*self._means[-MOST:], result]
            self.rest(False)

    def before_backward(self, loss: str, root: Tensor, value: Tensor) -> None:
        means, self._means = self._means, []
        self.rest()
        if not means or root.grad_fn is None or not self.watched.closely:
            return
        if any(m is root for m in means):
            self.recorder.numbers({f"mean_weight/{loss}": 1.0})
            return
        if root._backward_hooks or any(m._backward_hooks for m in means):
            return  # a loss inside a sharded model: its hook would gather parameters
        found = torch.autograd.grad(root, means, retain_graph=True, allow_unused=True)
        weights = [g.reshape(()).float() for g in found if g is not None]
        if weights:
            total = torch.stack(weights).abs().sum()
            self.recorder.vector([total], lambda values: {f"mean_weight/{loss}": values[0]})

    def after_step(self, name: str, optimizer: Optimizer) -> None:
        self._means = []
        self.rest()
