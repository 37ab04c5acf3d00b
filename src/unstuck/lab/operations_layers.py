"""Which layer runs, while operations are followed one by one."""

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

from torch import nn
from torch.nn.modules import module as every_module

OUTSIDE = "the loss"  # what no layer of the model has made


@contextlib.contextmanager
def layers_followed(model: nn.Module, name: str, running: list[str]) -> Iterator[None]:
    """Keep the names of the layers that run, outermost first; the model itself is called `name`.

    A module that is not the model's (one that the loss holds) counts to what called it.
    """
    names = {id(m): n or name for n, m in model.named_modules()}

    def enters(module: nn.Module, args: Any) -> None:
        inherited = running[-1] if running else OUTSIDE
        running.append(names.get(id(module), inherited))

    def leaves(module: nn.Module, args: Any, out: Any) -> None:
        if running:
            running.pop()

    handles = [
        every_module.register_module_forward_pre_hook(enters),
        every_module.register_module_forward_hook(leaves, always_call=True),
    ]
    try:
        with warnings.catch_warnings():
            # the second name on the stack is the same layer's
            warnings.filterwarnings("ignore", message="Using `torch.compile")
            yield
    finally:
        for handle in handles:
            handle.remove()
