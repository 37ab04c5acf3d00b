"""Calls of one model from outside, all of them: for the live changes of what a model is given."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch._C._functorch import peek_interpreter_stack as in_functional_transform
from torch.nn.modules import module as hooks

from unstuck.changes import Change
from unstuck.watcher.intervention import Intervention, Interventions

Before = Callable[[nn.Module, tuple[Any, ...]], tuple[Any, ...] | None]  # other arguments, or None
After = Callable[[nn.Module, Any], None]  # what it has put out


def part_named(where: str, name: str, model: nn.Module) -> nn.Module | None:
    """The model called `name`, or the layer `<name>.<layer>` of it, that `where` means."""
    if where == name:
        return model
    if not where.startswith(f"{name}."):
        return None
    try:
        return model.get_submodule(where.removeprefix(f"{name}."))
    except AttributeError:
        return None


class ModelCalls:
    """Lets `before` see the outermost calls of a model, or of parts of it that are called alone,
    and `after` what these put out.

    A hook of all modules rather than of this one: it is not copied with the model, nor saved.
    Recomputations during a backward pass are no calls from outside.
    """

    def __init__(
        self, before: Before, guarded: Callable[..., Any], after: After | None = None
    ) -> None:
        self._before = before
        self._after = after
        self._guarded = guarded
        self._inside: set[int] = set()
        self._depth = 0
        self._handles: list[Any] = []

    def start(self) -> None:
        self._handles = [
            hooks.register_module_forward_pre_hook(self._enter),
            hooks.register_module_forward_hook(self._leave, always_call=True),
        ]

    def of(self, model: nn.Module) -> None:
        """From now on, calls of this model; one that has begun is the first."""
        self._inside = {id(m) for m in model.modules()}

    def stop(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _enter(self, module: nn.Module, args: tuple[Any, ...]) -> Any:
        if id(module) not in self._inside or _not_a_call():
            return None
        self._depth += 1
        return self._guarded(self._before, module, args) if self._depth == 1 else None

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        if id(module) in self._inside and not _not_a_call():
            self._depth = max(0, self._depth - 1)
            if self._depth == 0 and self._after is not None:
                self._guarded(self._after, module, output)


class OfCalls(Intervention):
    """A live change of what one model is called with, or of the model as it is called."""

    called: nn.Module  # once the model is known

    def __init__(self, change: Change, interventions: Interventions) -> None:
        super().__init__(change, interventions)
        self._calls = ModelCalls(self.before, interventions.guarded)

    def start(self) -> None:
        self._calls.start()

    def stop(self) -> None:
        self._calls.stop()

    def model(self, name: str, model: nn.Module) -> None:
        if name == self.where:
            self.called = model
            self._calls.of(model)

    def before(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """The model, or a part of it that is called alone, is called: other arguments, or None."""
        raise NotImplementedError


def _not_a_call() -> bool:
    recomputes = torch._C._current_graph_task_id() != -1
    return recomputes or torch.compiler.is_compiling() or in_functional_transform() is not None
