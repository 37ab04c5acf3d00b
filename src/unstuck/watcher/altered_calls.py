"""Calls of loss functions with other arguments than the script's, and what these losses would be.

Only where gradients are recorded: an evaluation is what it was. Functions are stood in for as long
as the watching lasts (unstuck.watcher.functions), also where a module of the script has imported
one by its name. A function that was kept in a variable before the watching began is out of reach;
under `unstuck run` it begins before the script does.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from unstuck.watcher.functions import Functions

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
Alter = Callable[[str, Arguments], Arguments | None]  # the function's last name; None: leave it

WHO = "altered calls"
MOST_HELD = 64  # values of losses since the last backward pass


@dataclass(slots=True)
class Altered:
    """One way to alter calls. `rewrites`: the value then means something else than it did."""

    functions: frozenset[str]
    alter: Alter
    rewrites: bool


@dataclass(slots=True)
class AlteredCalls:
    """All alterations of calls: one after another in the order they were asked for."""

    functions: Functions
    guarded: Callable[..., Any]  # see Interventions.guarded
    _each: list[Altered] = field(default_factory=list)
    _held: list[tuple[Tensor, Tensor, int]] = field(default_factory=list)  # value, own, when made
    _steps: int = 0

    def alter(self, names: Iterable[str], alter: Alter, *, rewrites: bool) -> None:
        """Let `alter` give calls of these functions of torch.nn.functional their arguments."""
        self._each.append(Altered(frozenset(names), alter, rewrites))
        self.functions.stop(WHO)
        every = {f"torch.nn.functional.{name}" for each in self._each for name in each.functions}
        self.functions.alter(WHO, sorted(every), self._call)

    def stop(self) -> None:
        """Torch's functions are its own again."""
        if self._each:
            self.functions.stop(WHO)
        self._each, self._held = [], []

    def stepped(self) -> None:
        """A step of an optimizer: values older than the step before are waited for no longer."""
        self._held = [held for held in self._held if held[2] >= self._steps]
        self._steps += 1

    def excess(self, loss: Tensor) -> Tensor | None:
        """How much more a loss is than as the script wrote it; None where that is the same.

        To first order in the values altered, which is exact for a weighted sum of losses.
        """
        if not self._held or loss.grad_fn is None:
            return None
        values = [value for value, *_ in self._held]
        found = torch.autograd.grad(loss, values, retain_graph=True, allow_unused=True)
        parts: list[Tensor] = []
        left: list[tuple[Tensor, Tensor, int]] = []
        for held, weight in zip(self._held, found, strict=True):
            if weight is None:
                left.append(held)
            else:
                parts.append((weight * (held[0].detach() - held[1])).sum())
        self._held = left
        return torch.stack(parts).sum() if parts else None

    def _call(
        self,
        original: Any,
        make: Callable[..., Any],
        args: tuple[Any, ...],
        options: dict[str, Any],
    ) -> Any:
        if not torch.is_grad_enabled():
            return make(*args, **options)
        found = self.guarded(self._arguments, original.__name__, (args, options))
        if found is None:
            return make(*args, **options)
        (new_args, new_options), acted = found
        value = make(*new_args, **new_options)
        if any(each.rewrites for each in acted):
            self.guarded(self._hold, value, original, args, options)
        return value

    def _arguments(self, name: str, given: Arguments) -> tuple[Arguments, list[Altered]] | None:
        acted = []
        for each in self._each:
            other = each.alter(name, given) if name in each.functions else None
            if other is not None:
                given = other
                acted.append(each)
        return (given, acted) if acted else None

    def _hold(self, value: Any, original: Any, args: Any, options: Any) -> None:
        if not isinstance(value, Tensor) or value.grad_fn is None:
            return
        with torch.no_grad():
            own = original(*args, **options)
        if own.shape == value.shape:
            self._held = [*self._held[1 - MOST_HELD :], (value, own, self._steps)]


def argument(given: Arguments, place: int, name: str) -> Any:
    """An argument by its place or its name; None where it was left out."""
    args, options = given
    return args[place] if len(args) > place else options.get(name)


def replaced(given: Arguments, place: int, name: str, value: Any) -> Arguments:
    """The arguments with another value for one of them."""
    args, options = given
    if len(args) > place:
        return (*args[:place], value, *args[place + 1 :]), options
    return args, {**options, name: value}
