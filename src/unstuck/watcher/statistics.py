"""Numbers of one optimizer step, fused: norms by layer, updates, reach, dead units.

Every function leaves its result on the device; `unstuck.watcher.readback` copies it out, so that
the training loop never waits.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

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
    parts = each_norm(tensors)
    return torch.stack([p.to(parts[0].device) for p in parts])


def each_norm(tensors: list[Tensor] | tuple[Tensor, ...]) -> list[Tensor]:
    """L2 norms of many tensors, each on its own device, in float32 at least."""
    found = torch._foreach_norm(list(tensors))
    return [n if n.dtype is torch.float32 else n.float() for n in found]


def dense(tensor: Tensor) -> Tensor:
    """A gradient as an ordinary tensor: sparse ones by their values, sharded ones by their part.

    Complex numbers count as pairs of real ones.
    """
    if tensor.is_sparse:
        return tensor._values() if tensor.is_coalesced() else tensor.coalesce().values()
    if tensor.is_complex():
        return torch.view_as_real(tensor.resolve_conj())
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


def one(name: str) -> Callable[[list[float]], dict[str, float]]:
    """Names a vector of a single number."""
    return lambda values: {name: values[0]}
