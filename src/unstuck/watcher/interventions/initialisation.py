"""initialisation/<model or layer>: weights drawn anew before the first forward pass.

'kaiming' and 'xavier' draw the weights of linear and convolutional layers from
`nn.init.kaiming_normal_` or `xavier_normal_` and set their biases to zero; 'default' draws every
layer as torch makes it (`reset_parameters`). The numbers come from generators of their own, seeded
with `torch.initial_seed()`: the script's stream of random numbers is not moved. What a script has
loaded into the model before is lost.

Reference: He et al. 2015, <https://arxiv.org/abs/1502.01852>; Glorot & Bengio 2010,
<https://proceedings.mlr.press/v9/glorot10a.html>
"""

import torch
from torch import nn

from unstuck.watcher.intervention import Intervention
from unstuck.watcher.model_calls import part_named

LAYERS = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)


class Initialisation(Intervention):
    kind = "initialisation"

    def model(self, name: str, model: nn.Module) -> None:
        part = part_named(self.where, name, model)
        if part is None:
            return
        drawn = _as_made(part) if self.change.word == "default" else _drawn(part, self.change.word)
        if drawn:
            self.applied()


@torch.no_grad()
def _drawn(part: nn.Module, how: str) -> int:
    """Layers whose weights were drawn from the named distribution."""
    layers = [m for m in part.modules() if isinstance(m, LAYERS)]
    of_device: dict[torch.device, torch.Generator] = {}
    for layer in layers:
        device = layer.weight.device
        if device not in of_device:
            of_device[device] = torch.Generator(device).manual_seed(torch.initial_seed())
        generator = of_device[device]
        if how == "kaiming":
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
        else:
            nn.init.xavier_normal_(layer.weight, generator=generator)
        if layer.bias is not None:
            layer.bias.zero_()
    return len(layers)


def _as_made(part: nn.Module) -> int:
    """Modules that have drawn their own parameters again."""
    resets = [
        getattr(m, "reset_parameters", None) or getattr(m, "_reset_parameters", None)
        for m in part.modules()
    ]
    calls = [reset for reset in resets if callable(reset)]
    with torch.random.fork_rng():
        torch.manual_seed(torch.initial_seed())
        for reset in calls:
            reset()
    return len(calls)
