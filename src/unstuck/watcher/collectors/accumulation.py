"""What becomes of gradients between one step of an optimizer and its next.

Looked at from a sampled step of an optimizer to the step after it, whatever lies between: the
gradients in a few of its parameters before and after each backward pass, and just before the step.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.optim import Optimizer

from unstuck.watcher.collector import Collector, Watched
from unstuck.watcher.excerpt import excerpt

WITNESSES = 3  # parameters of an optimizer that are looked at, spread over all of them
SAMPLE = 512  # numbers of each
MOST_PASSES = 64  # looked at between two steps; the passes after them are not
SAME = 0.99  # cosine; clipping and scaling leave it at one, gradients made by hand do not


@dataclass(frozen=True, slots=True)
class Pass:
    """One backward pass: norms of the gradient before it and of what it added."""

    loss: str
    before: float
    added: float
    moved: bool  # the weights were changed since the pass before, by hand


@dataclass(slots=True)
class Window:
    """The passes since an optimizer's step, as scalars on its device."""

    parameters: list[Tensor]
    weights: Tensor | None  # read only where there was more than one pass the last time
    losses: list[str] = field(default_factory=list)
    scalars: list[Tensor] = field(default_factory=list)  # before, added, moved of each pass
    before: Tensor | None = None
    after: Tensor | None = None
    running: bool = False


class Accumulation(Collector):
    """Carried over, added, thrown away: gradients of an optimizer from step to step."""

    every_step = True

    def __init__(self, watched: Watched) -> None:
        super().__init__(watched)
        self._windows: dict[str, Window] = {}
        self._several: set[str] = set()  # optimizers with more than one pass between two steps

    def before_backward(self, loss: str, root: Tensor, value: Tensor) -> None:
        for window in self._windows.values():
            window.running = len(window.losses) < MOST_PASSES
            window.before = gradients(window.parameters) if window.running else None

    def after_backward(self, loss: str) -> None:
        for name, window in list(self._windows.items()):
            if window.losses:
                self._several.add(name)
            if window.running and not _seen(window, loss):
                del self._windows[name]

    def before_step(self, name: str, optimizer: Optimizer) -> None:
        window = self._windows.pop(name, None)
        self.rest(not self._windows)
        if window is None or window.after is None:
            return
        last = gradients(window.parameters)
        if last is None:
            last = torch.zeros_like(window.after)
        if last.shape != window.after.shape:
            return
        size, left = last.norm(), window.after.norm()
        cosine = torch.dot(last, window.after) / (size * left).clamp_min(1e-30)
        losses = window.losses

        def named(values: list[float]) -> dict[str, float]:
            found = told_by(passes_of(losses, values), *values[-3:])
            return {f"{what}/{name}": value for what, value in found.items()}

        self.recorder.vector([*window.scalars, size, cosine, left], named)

    def after_step(self, name: str, optimizer: Optimizer) -> None:
        if self.watched.closely:
            chosen = witnesses(optimizer)
            weights = few(chosen) if name in self._several else None
            self._windows[name] = Window(chosen, weights)
            self.rest(False)


def _seen(window: Window, loss: str) -> bool:
    """Note a pass that has ended; False where nothing can be said of it (sparse gradients)."""
    window.running = False
    after = gradients(window.parameters)
    if after is None:
        after = few([_nothing(p) for p in window.parameters])
    nothing = after.new_zeros(())
    moved = nothing
    if window.losses:
        weights = few(window.parameters)
        if window.weights is None or weights.shape != window.weights.shape:
            return False
        moved, window.weights = (weights != window.weights).any(), weights
    if window.before is None:
        window.scalars += [nothing, after.norm(), moved]
    elif window.before.shape != after.shape:
        return False
    else:
        window.scalars += [window.before.norm(), (after - window.before).norm(), moved]
    window.losses.append(loss)
    window.after = after
    return True


def witnesses(optimizer: Optimizer) -> list[Tensor]:
    """Some trainable parameters, matrices where there are any, from the first to the last."""
    held = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
    held = [p for p in held if p.ndim > 1] or held
    last = len(held) - 1
    places = {i * last // (WITNESSES - 1) for i in range(WITNESSES)} if held else set()
    return [held[i] for i in sorted(places)]


def gradients(parameters: Sequence[Tensor]) -> Tensor | None:
    """A copy of some of their gradients, zeros where one has none; None where none has any."""
    if all(p.grad is None for p in parameters):
        return None
    return few([p.grad if p.grad is not None else _nothing(p) for p in parameters])


def _nothing(parameter: Tensor) -> Tensor:
    """Zeros of its shape."""
    return torch.zeros_like(excerpt(parameter, SAMPLE))


def few(tensors: Sequence[Tensor]) -> Tensor:
    """Some numbers of each tensor, one new vector."""
    parts = [excerpt(t, SAMPLE).float() for t in tensors]
    return torch.cat([p.to(parts[0].device) for p in parts]) if parts else torch.zeros(0)


def passes_of(losses: Sequence[str], values: Sequence[float]) -> list[Pass]:
    """The scalars of a window as its passes."""
    return [
        Pass(loss, values[3 * i], values[3 * i + 1], values[3 * i + 2] > 0)
        for i, loss in enumerate(losses)
    ]


def told_by(passes: Sequence[Pass], last: float, cosine: float, left: float) -> dict[str, float]:
    """What a window says, given the norm of the gradient at the step and of what was `left` last.

    `cosine` is that between the two: where something else was put in its place by hand, what was
    cleared before may well be in it.
    """
    read = [x for p in passes for x in (p.before, p.added)]
    if not all(math.isfinite(x) for x in (*read, last)) or not any(p.added > 0 for p in passes):
        return {}
    kept, lost = survivors(passes)
    if last == 0:
        return {"discarded_gradient": 1.0}
    found = {"carried_gradient": min(p.before for p in passes) / last, "discarded_gradient": 0.0}
    if kept and cosine > SAME:
        dropped = sum(count for loss, count in lost.items() if loss in kept)
        found["discarded_gradient"] = dropped / (dropped + sum(kept.values()))
        found["accumulated_passes"] = float(max(kept.values()))
        found["rescaled_gradient"] = last / left
    return found


def survivors(passes: Sequence[Pass]) -> tuple[Counter[str], Counter[str]]:
    """Passes by loss whose gradients are still there at the end, and those cleared before a step.

    A look-ahead that moves the weights and clears the first gradients (SAM) loses nothing.
    """
    kept: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    for one in passes:
        if one.before == 0:
            if not one.moved:
                lost += kept
            kept = Counter()
        if one.added > 0:
            kept[one.loss] += 1
    return kept, lost
