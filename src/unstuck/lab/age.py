"""How far a training has come, as its optimizer tells."""

from torch import Tensor
from torch.optim import SGD, Optimizer


def steps_made(optimizer: Optimizer | None) -> int | None:
    """Steps an optimizer has made; 0 for one that keeps a state and has none yet; None: unknown.

    Plain SGD keeps no state and momentum counts no steps: of those nothing can be said.
    """
    if optimizer is None:
        return None
    if not optimizer.state:
        keeps_none = isinstance(optimizer, SGD) and not any(
            group.get("momentum") for group in optimizer.param_groups
        )
        return None if keeps_none else 0
    counted = [held.get("step") for held in optimizer.state.values() if isinstance(held, dict)]
    known = [int(s) for s in counted if isinstance(s, int | float | Tensor)]
    return max(known, default=None)
