"""targets/elementwise 'shaped': a target that would be broadcast gets the prediction's shape.

Predictions (n, 1) against targets (n,) make n x n differences. Where both hold as many numbers the
target is viewed in the shape of the prediction, which of the two is the one with a gradient. A
difference that the script writes out itself (`(model(x) - y) ** 2`) calls no function and is out
of reach. The loss keeps its name and meaning: it is the broadcast one less twice the covariance of
prediction and target, so that the two are equal for a model that knows nothing.
"""

import math

import torch
from torch import Tensor

from unstuck.watcher.altered_calls import Arguments, argument, replaced
from unstuck.watcher.intervention import Intervention

FUNCTIONS = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "poisson_nll_loss")


class Targets(Intervention):
    kind = "targets"

    def start(self) -> None:
        self.all.calls.alter(FUNCTIONS, self._shaped, rewrites=False)

    def _shaped(self, function: str, given: Arguments) -> Arguments | None:
        prediction, target = argument(given, 0, "input"), argument(given, 1, "target")
        if not (isinstance(prediction, Tensor) and isinstance(target, Tensor)):
            return None
        if not _grows(prediction, target):
            return None
        self.applied()
        if target.requires_grad and not prediction.requires_grad:
            return replaced(given, 0, "input", prediction.reshape(target.shape))
        return replaced(given, 1, "target", target.reshape(prediction.shape))


def _grows(prediction: Tensor, target: Tensor) -> bool:
    """Whether as many numbers on both sides become more when they meet."""
    if prediction.shape == target.shape or prediction.numel() != target.numel():
        return False
    try:
        met = torch.broadcast_shapes(prediction.shape, target.shape)
    except RuntimeError:  # torch will say so
        return False
    numbers: int = math.prod(tuple(met))
    return numbers > prediction.numel()
