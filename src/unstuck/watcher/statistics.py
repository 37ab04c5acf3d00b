"""Numbers of one optimizer step, fused: norms by layer, updates, reach, dead units.

Every function leaves its result on the device as one tensor; `Later` turns it into readings in
the writer's thread, so that the training loop never waits for a copy.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unstuck.watcher.store import Batch, Reading

# Rows of these weights are units with an activation of their own; of an embedding they are words.
UNIT_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
SAMPLE = 4096  # numbers of one output that are read: the spread is within some 1 % of the whole's
TRANSPOSED_LAYERS = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a parameter lives: `<model>.<layer>`, and the dimension its units lie along, if any."""

    layer: str
    units: int | None


def places(models: Mapping[str, nn.Module]) -> dict[int, Place]:
    """id(parameter) -> Place for every parameter of the named models; the first name wins."""
    found: dict[int, Place] = {}
    for model_name, model in models.items():
        for module_name, module in model.named_modules():
            layer = joined(model_name, module_name)
            for name, parameter in module.named_parameters(recurse=False):
                units = None
                if name == "weight" and isinstance(module, UNIT_LAYERS):
                    units = 0
                elif name == "weight" and isinstance(module, TRANSPOSED_LAYERS):
                    units = 1
                found.setdefault(id(parameter), Place(layer, units))
    return found


def joined(model: str, module: str) -> str:
    """`model` and `layer1.conv` as `model.layer1.conv`; wrappers' `module.` is left out."""
    module = module.removeprefix("module.").removeprefix("_orig_mod.")
    return f"{model}.{module}" if module else model


def norms(tensors: list[Tensor] | tuple[Tensor, ...]) -> Tensor:
    """L2 norms of many tensors as one vector, in float32 at least."""
    parts = [n.float() for n in torch._foreach_norm(list(tensors))]
    return torch.stack([p.to(parts[0].device) for p in parts])


def dense(tensor: Tensor) -> Tensor:
    """A gradient as an ordinary tensor: sparse ones by their values, sharded ones by their part."""
    if tensor.is_sparse:
        return tensor._values() if tensor.is_coalesced() else tensor.coalesce().values()
    local = getattr(tensor, "_local_tensor", None)
    return local if isinstance(local, Tensor) else tensor


def silent_units(gradient: Tensor, units: int) -> Tensor:
    """Share of slices along dimension `units` whose gradient is exactly zero, a scalar."""
    rows = gradient.transpose(0, units).flatten(1)
    return (rows.abs().amax(dim=1) == 0).float().mean()


def spread(output: Tensor) -> list[Tensor]:
    """Mean and standard deviation of a layer's output, two scalars; of a large one, of a sample."""
    x = output.detach()
    if x.numel() > SAMPLE and x.ndim > 1:
        x = x[:: -(-x.numel() // SAMPLE)]
    if x.numel() > SAMPLE:
        x = x.reshape(-1)[:: x.numel() // SAMPLE | 1]  # odd: no power-of-two axis is aliased
    variance, mean = torch.var_mean(x.float(), correction=0)
    return [mean, variance.sqrt()]


def latent_spread(latent: Tensor) -> list[Tensor]:
    """Standard deviation over the batch (dimension 0) at fixed position, averaged; and the RMS.

    Of a latent with many positions, a regular part of them is read.
    """
    z = latent.detach().flatten(1)
    z = z[:, :: max(1, z.shape[1] * min(z.shape[0], 64) // (16 * SAMPLE) | 1)][:1024].float()
    return [z.std(dim=0, correction=0).mean(), z.square().mean().sqrt()]


def by_layer(prefix: str, layers: list[str], values: list[float]) -> dict[str, float]:
    """Norms of parameters combined into norms of layers and the total, as named readings."""
    squares: dict[str, float] = {}
    for layer, value in zip(layers, values, strict=True):
        squares[layer] = squares.get(layer, 0.0) + value * value
    named = {f"{prefix}/{layer}": math.sqrt(s) for layer, s in squares.items() if layer}
    return {prefix: math.sqrt(sum(squares.values())), **named}


def later(
    values: Tensor,
    step: int,
    wall: float,
    name: Callable[[list[float]], Mapping[str, float]],
) -> Batch:
    """A batch that copies a vector out in the writer's thread and names its numbers there."""

    def batch() -> list[Reading]:
        return [(n, step, v, wall) for n, v in name(values.tolist()).items()]

    return batch


def one(name: str) -> Callable[[list[float]], dict[str, float]]:
    """Names a vector of a single number."""
    return lambda values: {name: values[0]}


def scalars(values: Iterable[Tensor]) -> Tensor:
    """Scalars of any device and type as one detached float vector."""
    parts = [v.detach().reshape(()).float() for v in values]
    return torch.stack([p.to(parts[0].device) for p in parts])
