"""What an encoder says of a sample, as the mean of a posterior: does it say anything?

Means are outputs of layers named so beside one named like a variance, the first of two tensors of
one shape that an encoder returns, the first part of an encoder's output that is cut in two, and
the mean of the first distribution of a divergence.
"""

import re
import weakref
from typing import Any

import torch
from torch import Tensor, nn

from unstuck.lab.latents import CODE_NAME
from unstuck.watcher.collector import Collector, Watched
from unstuck.watcher.rows import rows

MEAN_NAME = re.compile(r"(.*_)?(mu|mean|means|loc)(_head|_layer)?\d*")
VARIANCE_NAME = re.compile(
    r"(.*_)?(logvar|log_?var(iance)?|log_?(std|sigma|scale)|var|variance|std|sigma|scale|lv|ls)"
    r"(_head|_layer)?\d*"
)
ACTIVE = 0.01  # of the prior's variance: Burda, Grosse & Salakhutdinov 2016, section 5.2


class Posteriors(Collector):
    """`posterior/<place>/spread` and `/active`, from the means over a batch."""

    functions = ("torch.Tensor.chunk", "torch.chunk", "torch.distributions.kl_divergence")

    def __init__(self, watched: Watched) -> None:
        super().__init__(watched)
        self._encoded: tuple[str, Any] = ("", lambda: None)
        self._known: dict[str, bool] = {}

    def forward(
        self, name: str, module: nn.Module, args: tuple[Any, ...], output: Any, outermost: bool
    ) -> None:
        last = name.rsplit(".", 1)[-1].lower()
        if isinstance(output, Tensor) and MEAN_NAME.fullmatch(last):
            if self._beside_a_variance(name):
                self._read(name, output)
        elif CODE_NAME.fullmatch(last):
            if isinstance(output, Tensor):
                self._encoded = (name, weakref.ref(output))
            elif isinstance(output, tuple) and len(output) >= 2:
                mean, other = output[:2]
                alike = isinstance(mean, Tensor) and isinstance(other, Tensor)
                if alike and mean.shape == other.shape:
                    self._read(name, mean)

    def called(self, function: str, args: tuple[Any, ...], options: Any, result: Any) -> None:
        if not torch.is_grad_enabled():
            return
        if function == "kl_divergence":
            mean = getattr(args[0] if args else None, "loc", None)
            self._read("divergence", mean)
        elif len(result) == 2 and args and self._encoded[1]() is args[0]:
            self._read(self._encoded[0], result[0])

    def _beside_a_variance(self, name: str) -> bool:
        if name not in self._known:
            owner, _, _ = name.rpartition(".")
            model, _, inside = owner.partition(".")
            found = self.watched.modules.models.get(model)
            try:
                parent = found.get_submodule(inside) if found is not None else nn.Module()
            except AttributeError:  # a wrapper's `module.` was left out of the name
                parent = nn.Module()
            names = [n.lower() for n, _ in parent.named_children()]
            self._known[name] = any(VARIANCE_NAME.fullmatch(n) for n in names)
        return self._known[name]

    def _read(self, where: str, mean: Any) -> None:
        x = rows(mean)
        if x is not None:
            variance = x.var(dim=0, correction=0)
            values = [variance.amax(), (variance > ACTIVE).float().mean()]
            self.hold(values, [f"posterior/{where}/{key}" for key in ("spread", "active")])
