"""Layers that ran and got no gradient, because what came out of them was fed on without its graph.

`detach()`, `.data`, a round trip through numpy, `argmax`: the next layer is given values with no
way back. It learns; the layers before it do not.
"""

import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.optim import Optimizer

from unstuck.watcher.collector import Collector, Watched

MOST_CALLS = 2000  # of layers with parameters that are remembered for a step


@dataclass(frozen=True, slots=True)
class Call:
    """A layer with trainable parameters of its own was called."""

    name: str
    step: int  # the running one; the call may belong to the next
    own: tuple[Tensor, ...]
    whole: int  # which call of a whole model it belongs to
    source: str  # the layer whose output it was fed without its graph
    unrelated: bool  # fed numbers without a graph that are not what the model was fed


class Memories:
    """Names by the memory of tensors, forgotten with it: another tensor may be given it next."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Callable[[], bool], str]] = {}

    def keep(self, tensor: Tensor, name: str = "") -> None:
        """Remember a tensor under a name, unless its memory has one."""
        if self.name(tensor) is not None:
            return
        if tensor.layout == torch.strided:
            storage = tensor.untyped_storage()
            self._known[storage.data_ptr()] = StorageWeakRef(storage).expired, name
        else:
            alive = weakref.ref(tensor)
            self._known[id(tensor)] = lambda: alive() is None, name

    def name(self, tensor: Tensor) -> str | None:
        """Of the tensor that had this memory first, None where there is none left."""
        strided = tensor.layout == torch.strided
        place = tensor.untyped_storage().data_ptr() if strided else id(tensor)
        gone, name = self._known.get(place, (None, ""))
        return None if gone is None or gone() else name


class CutGraphs(Collector):
    """Share of an optimizer's parameters that lie before a cut: cut_off/<optimizer>."""

    def __init__(self, watched: Watched) -> None:
        super().__init__(watched)
        self._calls: list[Call] = []
        self._from: dict[str, int] = {}  # optimizer -> first call since its last step
        self._whole = 0
        self._raw = Memories()  # of what models were fed
        self._made = Memories()  # of what layers put out, with a graph
        self._told: dict[str, str] = {}

    def before_forward(
        self, name: str, module: nn.Module, args: tuple[Any, ...], outermost: bool
    ) -> None:
        if outermost:
            self._forget()
            self._whole += 1
            for tensor in _tensors(args):
                self._raw.keep(tensor)
        own = tuple(p for p in module._parameters.values() if p is not None and p.requires_grad)
        if own and len(self._calls) < MOST_CALLS:
            fed = list(_tensors(args))
            without = not any(t.requires_grad for t in fed)
            made = filter(None, map(self._made.name, fed)) if without else iter(())
            numbers = bool(fed) and all(t.is_floating_point() for t in fed)
            unrelated = without and numbers and all(self._raw.name(t) is None for t in fed)
            step = self.recorder.clock.step
            self._calls.append(Call(name, step, own, self._whole, next(made, ""), unrelated))

    def forward(
        self, name: str, module: nn.Module, args: tuple[Any, ...], output: Any, outermost: bool
    ) -> None:
        if isinstance(output, Tensor) and output.requires_grad:
            self._made.keep(output, name)

    def before_step(self, name: str, optimizer: Optimizer) -> None:
        step = self.recorder.clock.step
        calls = [c for c in self._calls[self._from.get(name, 0) :] if c.step >= step - 1]
        held = {id(p) for g in optimizer.param_groups for p in g["params"] if p.requires_grad}
        if not any(id(p) in held for c in calls for p in c.own):
            return
        before, place = cut_off(calls, held)
        self.recorder.numbers({f"cut_off/{name}": len(before) / len(held)})
        if place and self._told.get(name) != place:
            self._told[name] = place
            self.recorder.note({f"cut_off/{name}/at": place[:300]})

    def after_step(self, name: str, optimizer: Optimizer) -> None:
        self._from[name] = len(self._calls)

    def _forget(self) -> None:
        """Calls of steps that are over, and the memory they used, which others may use by now."""
        step = self.recorder.clock.step
        if self._calls and self._calls[-1].step < step - 1:
            self._calls, self._from = [], {}
        if not self._calls or self._calls[-1].step < step:
            self._raw, self._made = Memories(), Memories()


def cut_off(calls: list[Call], held: set[int]) -> tuple[set[int], str]:
    """Parameters in front of a cut that have no gradient, and where the last cut is."""
    before: set[int] = set()
    waiting: set[int] = set()
    last: Call | None = None
    place = ""
    for call in calls:
        mine = {id(p) for p in call.own} & held
        if mine and all(p.grad is None for p in call.own):
            waiting |= mine
            last = call
        elif last is not None and any(p.grad is not None for p in call.own):
            source = call.source or (last.name if call.whole == last.whole else "")
            if source and (call.source or call.unrelated) and waiting - before:
                before |= waiting
                place = f"{source} -> {call.name}"
    return before, place


def _tensors(args: tuple[Any, ...]) -> Iterator[Tensor]:
    for one in args:
        if isinstance(one, Tensor):
            yield one
        elif isinstance(one, list | tuple):
            yield from (t for t in one if isinstance(t, Tensor))
