"""Optimizers that exist and never step, while backward passes fill their parameters' gradients.

An optimizer is known to the watcher from its first step on; one that makes none is heard of where
it is made and where its gradients are cleared.
"""

import sys
import weakref
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from unstuck.watcher.collector import Collector, Watched
from unstuck.watcher.naming import clean, users_frame
from unstuck.watcher.statistics import dense

MOST = 16  # optimizers that are followed
MOST_HELD = 64  # names that are looked through in one place
SOME = 64  # numbers of a parameter that tell whether it was moved


@dataclass(slots=True)
class Waiting:
    """An optimizer that has made no step yet."""

    optimizer: "weakref.ref[Optimizer]"
    parameters: "list[weakref.ref[Tensor]]"
    name: str
    named: bool  # after what the script calls it, not after its class
    weights: list[Tensor] = field(default_factory=list)  # some, when it was first passed over
    reached: bool = False  # by the last backward pass
    passes: int = 0
    noted: int = 0

    @property
    def held(self) -> list[Tensor]:
        """Its first and its last trainable parameter, unless they are gone."""
        return [p for p in (weak() for weak in self.parameters) if p is not None]


class IdleOptimizers(Collector):
    """Counts backward passes that no step follows, for optimizers that have made none."""

    functions = ("torch.optim.Optimizer.__init__", "torch.optim.Optimizer.zero_grad")
    every_step = True

    def __init__(self, watched: Watched) -> None:
        super().__init__(watched)
        self._waiting: dict[int, Waiting] = {}
        self._stepped: set[int] = set()
        self._only: set[int] | None = None  # those the user gave; others are none of our business
        self._open = False  # a backward pass has ended, and no step since
        watched.interventions.idle = self._by_name

    def called(self, function: str, args: tuple[Any, ...], options: Any, result: Any) -> None:
        if args and isinstance(args[0], Optimizer) and id(args[0]) not in self._stepped:
            self._meet(args[0], _name_in(users_frame(sys._getframe(1)), args[0]))

    def before_backward(self, loss: str, root: Tensor, value: Tensor) -> None:
        self._given()
        if self._open:
            self._count()
        self._open = False

    def after_backward(self, loss: str) -> None:
        self._open = bool(self._waiting)
        for waiting in self._waiting.values():
            waiting.reached = any(p.grad is not None for p in waiting.held)

    def before_step(self, name: str, optimizer: Optimizer) -> None:
        self._given()
        self._open = False
        if id(optimizer) not in self._stepped:
            self._stepped.add(id(optimizer))
            self.recorder.note({f"idle/{name}": 0})
            self._rouse(optimizer)
        self.rest(not self._waiting)

    def close(self) -> None:
        if self._open:
            self._count()
        for waiting in self._waiting.values():
            if waiting.optimizer() is not None:
                self._note(waiting, wait=True)

    def _by_name(self) -> dict[str, Optimizer]:
        alive = ((waiting.name, waiting.optimizer()) for waiting in self._waiting.values())
        return {name: optimizer for name, optimizer in alive if optimizer is not None}

    def _given(self) -> None:
        """Optimizers known before any has stepped are those the user handed over."""
        if self._only is None:
            given = self.watched.optimizers.all()
            self._only = {id(o) for o in given.values()}
            for name, optimizer in given.items():
                self._meet(optimizer, name)

    def _meet(self, optimizer: Optimizer, name: str | None) -> None:
        self._given()
        known = self._waiting.get(id(optimizer))
        if known is not None and known.optimizer() is optimizer:
            if name and not known.named and not known.noted:
                known.name, known.named = self._unique(name), True
            return
        unwanted = self._only and id(optimizer) not in self._only
        if unwanted or id(optimizer) in self._stepped or len(self._waiting) >= MOST:
            return
        held = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
        if held:
            self.rest(False)
            self._waiting[id(optimizer)] = Waiting(
                weakref.ref(optimizer),
                [weakref.ref(p) for p in (held[0], held[-1])],
                self._unique(name or type(optimizer).__name__),
                named=name is not None,
            )

    def _unique(self, name: str) -> str:
        taken = {waiting.name for waiting in self._waiting.values()}
        unique, count = clean(name), 1
        while unique in taken:
            count += 1
            unique = f"{clean(name)}.{count}"
        return unique

    def _rouse(self, optimizer: Optimizer) -> None:
        """It steps, and so do all that hold its parameters: it may be inside one of them."""
        moved = {id(p) for group in optimizer.param_groups for p in group["params"]}
        for key, waiting in list(self._waiting.items()):
            if any(id(p) in moved for p in waiting.held):
                del self._waiting[key]
                if waiting.noted:
                    self.recorder.note({f"idle/{waiting.name}": 0})

    def _count(self) -> None:
        """A backward pass was followed by the next one and not by a step."""
        for key, waiting in list(self._waiting.items()):
            if waiting.optimizer() is None:
                del self._waiting[key]
            elif waiting.reached:
                waiting.weights = waiting.weights or [_some(p) for p in waiting.held]
                waiting.passes += 1
                if waiting.passes >= 2 * waiting.noted:
                    self._note(waiting, wait=False)

    def _note(self, waiting: Waiting, *, wait: bool) -> None:
        """Leave the count so far; none where its weights are moved in some other way."""
        if waiting.passes:
            waiting.noted = waiting.passes
            moved = _moved(waiting, wait=wait)
            self.recorder.note({f"idle/{waiting.name}": 0 if moved else waiting.passes})


def _moved(waiting: Waiting, *, wait: bool) -> bool:
    """Whether its weights have changed; of those on a device, only where waiting for it is fine."""
    return len(waiting.held) != len(waiting.weights) or any(
        not torch.equal(_some(p), old)
        for p, old in zip(waiting.held, waiting.weights, strict=True)
        if wait or p.device.type == "cpu"
    )


def _name_in(frame: FrameType | None, optimizer: Optimizer) -> str | None:
    """What a frame calls an optimizer: a local, or an attribute of one (`self.opt`, `gan.opt`)."""
    if frame is None:
        return None
    local = list(frame.f_locals.items())[:MOST_HELD]
    held = [vars(v) for _, v in local if isinstance(getattr(v, "__dict__", None), dict)]
    attributes = [item for of_one in held for item in list(of_one.items())[:MOST_HELD]]
    return next((k for k, v in (*local, *attributes) if v is optimizer and k != "self"), None)


def _some(parameter: Tensor) -> Tensor:
    flat = dense(parameter.detach()).reshape(-1)
    return flat[:: max(1, flat.numel() // SOME)][:SOME].clone()
