"""What a prediction came out of, and the numbers that can never come out of it.

Read from the graph: the operation that made a tensor, behind those that only arrange its numbers.
"""

import math
from typing import Any

from torch import Tensor

Range = tuple[float, float]
RANGES: dict[str, Range] = {
    "softmax": (0.0, 1.0),
    "log_softmax": (-math.inf, 0.0),
    "sigmoid": (0.0, 1.0),
    "log_sigmoid": (-math.inf, 0.0),
    "hardsigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "relu": (0.0, math.inf),
    "softplus": (0.0, math.inf),
    "exp": (0.0, math.inf),
    "abs": (0.0, math.inf),
}
_MADE_BY = {
    "SoftmaxBackward0": "softmax",
    "LogSoftmaxBackward0": "log_softmax",
    "SigmoidBackward0": "sigmoid",
    "LogSigmoidBackward0": "log_sigmoid",
    "HardsigmoidBackward0": "hardsigmoid",
    "TanhBackward0": "tanh",
    "ReluBackward0": "relu",
    "SoftplusBackward0": "softplus",
    "ExpBackward0": "exp",
    "AbsBackward0": "abs",
}
_ARRANGES = (
    "ViewBackward",
    "UnsafeViewBackward",
    "ReshapeAliasBackward",
    "SqueezeBackward",
    "UnsqueezeBackward",
    "SelectBackward",
    "SliceBackward",
    "IndexBackward",
    "TransposeBackward",
    "PermuteBackward",
    "TBackward",
    "CloneBackward",
    "AliasBackward",
    "ToCopyBackward",
    "SplitBackward",
    "MovedimBackward",
)
FARTHEST = 8  # nodes behind the prediction


def made_by(prediction: Tensor) -> str | None:
    """The bounded activation a prediction came straight out of, if any."""
    node: Any = prediction.grad_fn
    for _ in range(FARTHEST):
        if node is None:
            return None
        name = node.name()
        if name in _MADE_BY:
            return _MADE_BY[name]
        if not name.startswith(_ARRANGES):
            return None
        node = node.next_functions[0][0]
    return None
