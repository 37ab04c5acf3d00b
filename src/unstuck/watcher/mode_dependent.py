"""Modules whose training and evaluation modes compute different things."""

from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

KEPT = (_BatchNorm, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)


def depends_on_mode(module: nn.Module) -> bool:
    """Whether `train()` and `eval()` make a difference to this very module, children aside."""
    if isinstance(module, KEPT):
        return bool(module.track_running_stats and module.running_mean is not None)
    if isinstance(module, nn.RNNBase):
        return module.dropout > 0 and module.num_layers > 1
    if isinstance(module, nn.MultiheadAttention):
        return bool(module.dropout > 0)
    if isinstance(module, _DropoutNd) or "drop" in type(module).__name__.lower():
        share = next((vars(module)[k] for k in ("p", "drop_prob") if k in vars(module)), 0)
        return isinstance(share, int | float) and share > 0
    return False


def with_owners(module: nn.Module) -> Iterator[tuple[nn.Module, list[Tensor]]]:
    """Each such module inside `module`, and the parameters it works on.

    Those are its own, or else, as for dropout, those of the module that holds it.
    """
    if depends_on_mode(module):
        yield module, list(module.parameters())
    for holder in module.modules():
        for child in holder.children():
            if depends_on_mode(child):
                yield child, list(child.parameters()) or list(holder.parameters())
