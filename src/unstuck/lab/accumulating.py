"""One step made from micro-batches, by the training's own code or by the book; then its trace."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook

from unstuck.lab.flat_gradient import Flat, clear
from unstuck.lab.subject import Subject
from unstuck.lab.untouched import untouched


@dataclass(frozen=True, slots=True)
class Step:
    """`gradient` that the (first) step was made with; `moved`: by how much the weights did.

    `moved` is None where there is no optimizer, or one that needs a closure. `steps` are those the
    code made itself, `elsewhere` those of other optimizers.
    """

    gradient: Tensor
    moved: Tensor | None
    steps: int
    elsewhere: int


def step(subject: Subject, flat: Flat, passes: Callable[[], Any], seed: int) -> Step:
    """Let `passes` leave gradients, make the step where it does not itself; all is put back."""
    optimizer = subject.optimizer
    at_step: list[Tensor] = []
    elsewhere = 0
    with ExitStack() as stack:
        stack.enter_context(untouched((subject.model, *subject.others), optimizer))
        before = flat.weights().clone()

        def notice(stepping: Optimizer, *_: Any) -> None:
            nonlocal elsewhere
            if stepping is not optimizer:  # put back, too
                stack.enter_context(untouched((), stepping))
            if stepping is optimizer or (optimizer is None and _holds(stepping, flat)):
                at_step.append(flat.left())
            else:
                elsewhere += 1

        clear(subject.model, *subject.others)
        torch.manual_seed(seed)
        handle = register_optimizer_step_pre_hook(notice)
        try:
            passes()
        finally:
            handle.remove()
        gradient = at_step[0] if at_step else flat.left()
        made = bool(at_step or elsewhere) or _made(optimizer)
        moved = flat.weights() - before if made else None
    return Step(gradient, moved, len(at_step), elsewhere)


def by_the_book(subject: Subject, parts: list[Any]) -> None:
    """The sum of the micro-batches' losses, each divided by their number."""
    for part in parts:
        (subject.value(part) / len(parts)).backward()


def _holds(optimizer: Optimizer, flat: Flat) -> bool:
    mine = {id(p) for p in flat.parameters}
    return any(id(p) in mine for group in optimizer.param_groups for p in group["params"])


def _made(optimizer: Optimizer | None) -> bool:
    """Make a step; False where that needs more than gradients."""
    if optimizer is None or isinstance(optimizer, torch.optim.LBFGS):
        return False
    try:
        optimizer.step()
    except (RuntimeError, TypeError, AttributeError):  # a closure is wanted
        return False
    return True
