"""How much of the output of a path comes from its skips, how much from its bottleneck.

For a path that its user names; the probe `path-reliance` finds a network's skips by itself.

Runs one path of a U-shaped network again with one of its inputs taken away, and gives the error
as a multiple of the error of the intact path:

- `reliance/<path>/skips`: every skip replaced by zeros. Far above 1: nothing is left without them.
- `reliance/<path>/bottleneck`: the bottleneck of another sample of the batch. Near 1: not used.
- `reliance/<path>/leak`: only what is known at use (`known`), where training sees more. Far above
  1: the skips carried the answer.

A path without skips has only the second fact. Nothing is changed: no gradient, no update.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Skips = Sequence[Tensor]
NOTHING = 1e-12  # smallest error to divide by


def path_reliance(
    name: str,
    decode: Callable[[Tensor, Any], Tensor],
    z: Tensor,
    skips: Skips | None,
    loss: Callable[[Tensor], Tensor],
    known: Skips | None = None,
) -> dict[str, float]:
    """Facts on one path: `loss(decode(z, skips))` intact and with an input taken away.

    z: (n, ...), n >= 2; skips: tensors (n, ...), or None for a path without; `known`: the skips
    there are at use, if others than in training. The other sample is the one half a batch away.
    Raises ValueError for a batch of one.
    """
    if len(z) < 2:
        raise ValueError("path_reliance needs a batch of at least two samples")

    def error(of: Tensor, by: Skips | None) -> float:
        return max(float(loss(decode(of, by))), NOTHING)

    with torch.no_grad():
        intact = error(z, skips)
        facts = {f"reliance/{name}/bottleneck": error(z.roll(len(z) // 2, 0), skips) / intact}
        if skips:
            without = error(z, [torch.zeros_like(s) for s in skips])
            facts[f"reliance/{name}/skips"] = without / intact
        if known is not None:
            facts[f"reliance/{name}/leak"] = error(z, known) / intact
    return facts
