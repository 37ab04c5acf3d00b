"""precision/loss 'float32': losses of torch.nn.functional take half-precision numbers as float32.

Predictions and targets in float16 or bfloat16 are handed over as `.float()`. Inside autocast these
functions run in float32 anyway, and nothing is changed. What was already rounded, or has
overflowed, before it reaches the loss stays so.

Reference: Micikevicius et al. 2018, <https://arxiv.org/abs/1710.03740>
"""

from typing import Any

import torch
from torch import Tensor

from unstuck.watcher.altered_calls import Arguments
from unstuck.watcher.intervention import Intervention

FUNCTIONS = (
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cosine_embedding_loss",
    "cross_entropy",
    "ctc_loss",
    "gaussian_nll_loss",
    "hinge_embedding_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "margin_ranking_loss",
    "mse_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "nll_loss",
    "poisson_nll_loss",
    "smooth_l1_loss",
    "soft_margin_loss",
    "triplet_margin_loss",
)
HALF = (torch.float16, torch.bfloat16)


class Precision(Intervention):
    kind = "precision"
    order = 1  # after what looks at where a prediction came from

    def start(self) -> None:
        self.all.calls.alter(FUNCTIONS, self._single, rewrites=False)

    def _single(self, function: str, given: Arguments) -> Arguments | None:
        args, options = given
        half = [value for value in (*args, *options.values()) if _is_half(value)]
        if not half or torch.is_autocast_enabled(half[0].device.type):
            return None
        self.applied()
        return tuple(map(_float, args)), {name: _float(value) for name, value in options.items()}


def _is_half(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dtype in HALF


def _float(value: Any) -> Any:
    return value.float() if _is_half(value) else value
