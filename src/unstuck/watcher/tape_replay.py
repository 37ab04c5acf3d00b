"""A loss that a tape leads to, as a function of the model and the batch: the tape run again."""

import contextlib
import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unstuck.experiment import NotProbed
from unstuck.lab.batch import tensors
from unstuck.watcher.tape import Data, Entry, Given, Made, Ref, Surroundings, Tape, Weight, swapped

TOTAL = "loss"


class Replay:
    """The entries of a tape that a loss depends on, and the data that enters them.

    `terms`: name -> where it is on the tape and its weight in the loss. Raises NotProbed where
    the loss cannot be had from the tape.
    """

    def __init__(
        self, tape: Tape, loss: Tensor, terms: dict[str, tuple[Tensor, Tensor]] | None = None
    ) -> None:
        if tape.full:
            raise NotProbed(f"the step makes more than {len(tape.entries) - 1} calls")
        if tape.why_not:
            raise NotProbed(tape.why_not)
        root = tape.ref_of(loss)
        if not isinstance(root, Made):
            raise NotProbed("the loss is made where torch does not tell of it (a function of the "
                            "script's own, or a compiled one)")  # fmt: skip
        self.value = loss.detach().clone()
        self._root = root
        known = {n: (tape.ref_of(t), w.detach().clone()) for n, (t, w) in (terms or {}).items()}
        self._terms = {n: (r, w) for n, (r, w) in known.items() if isinstance(r, Made)}
        self._terms.pop(TOTAL, None)
        wanted = {root.entry, *(r.entry for r, _ in self._terms.values())}
        self.entries = dict(sorted(_needed(tape, wanted).items()))
        called = [getattr(e.call, "__name__", "") for e in self.entries.values()]
        self._differentiates = "grad" in called  # a penalty on slopes needs its graph always
        numbers = {r.number for e in self.entries.values() for r in e.refs if isinstance(r, Given)}
        self.data: dict[int, Data] = {n: tape.data[n] for n in sorted(numbers)}
        self.batched = _batched(self.entries.values(), self.data)
        self.whole = False  # its samples cannot be told apart: the batch counts as one
        self.model: nn.Module | None = None  # what a caller's own copy may stand in for
        self.others = nn.ModuleList()  # modules of the tape that are not the model's
        if any(d.foreign for d in self.data.values()):
            raise NotProbed("what enters the loss has a history from before this step, or from a "
                            "function outside of torch's modules")  # fmt: skip
        if not self.batched:
            raise NotProbed("no data enters the loss")

    @property
    def modules(self) -> list[nn.Module]:
        """Modules that are called, each once."""
        calls = [e.call for e in self.entries.values()]
        return list(dict.fromkeys(c for c in calls if isinstance(c, nn.Module)))

    @property
    def weights(self) -> list[nn.Parameter]:
        """Parameters that are used outside of calls of modules."""
        refs = [r for e in self.entries.values() for r in e.refs]
        return list({id(r.parameter): r.parameter for r in refs if isinstance(r, Weight)}.values())

    @property
    def batch(self) -> tuple[Tensor, ...]:
        """The data that has one entry a sample, in the order it is used."""
        found = tuple(self.data[n].value for n in self.batched)
        return tuple(t.unsqueeze(0) for t in found) if self.whole else found

    def same_as(self, other: "Replay") -> bool:
        """Whether another step's loss was made in the same way, from other data."""
        try:
            mine, others = self._shape(), other._shape()
            constant = [n for n in range(len(self.data)) if n not in self._places(self.batched)]
            a, b = list(self.data.values()), list(other.data.values())
            return bool(mine == others) and all(
                torch.equal(a[n].value, b[n].value) for n in constant
            )
        except (RuntimeError, ValueError, TypeError):  # what cannot be compared is not the same
            return False

    def loss(self, model: nn.Module, batch: Sequence[Tensor]) -> dict[str, Tensor]:
        """The loss and its weighted terms on a batch, by the tape."""
        with torch.set_grad_enabled(torch.is_grad_enabled() or self._differentiates):
            found = self._run(batch, model)
        values = {TOTAL: found(self._root).reshape(())}
        for name, (ref, weight) in self._terms.items():
            values[name] = (found(ref) * weight.to(found(ref).dtype)).reshape(())
        return values

    def verify(self) -> Tensor:
        """The loss once more, under the random states and with the buffers there were."""
        found: Tensor = self._run(self.batch, self.model, as_it_was=True)(self._root)
        return found

    def _run(
        self, batch: Sequence[Tensor], model: nn.Module | None, as_it_was: bool = False
    ) -> Any:
        if len(batch) != len(self.batched):
            raise ValueError(f"the batch has {len(batch)} tensors, not {len(self.batched)}")
        given = {n: d.value for n, d in self.data.items()}
        parts = [t.squeeze(0) if self.whole else t for t in batch]
        given |= dict(zip(self.batched, parts, strict=True))
        given |= {n: given[n].clone() for n, d in self.data.items() if d.written}
        stand_in = _stand_in(self.model, model)
        made: dict[int, list[Tensor]] = {}

        def found(ref: Ref) -> Tensor:
            if isinstance(ref, Made):
                return made[ref.entry][ref.number]
            if isinstance(ref, Given):
                return given[ref.number]
            weight: Tensor = stand_in.get(id(ref.parameter), ref.parameter)
            return weight

        for number, entry in self.entries.items():
            if as_it_was:
                _restore(entry.around)
            args = swapped(entry.args, Made | Given | Weight, found)
            options = swapped(entry.options, Made | Given | Weight, found)
            call = stand_in.get(id(entry.call), entry.call)
            with _switched(entry.around):
                made[number] = list(tensors(call(*args, **options)))
        return found

    def _shape(self) -> list[Any]:
        order = {n: i for i, n in enumerate(self.entries)}
        places = {n: i for i, n in enumerate(self.data)}

        def moved(ref: Ref) -> Ref:
            if isinstance(ref, Made):
                return Made(order[ref.entry], ref.number)
            return Given(places[ref.number]) if isinstance(ref, Given) else ref

        shapes = [(d.value.shape, d.value.dtype) for d in self.data.values()]
        return [shapes, self._places(self.batched)] + [
            (_called(e.call), swapped((e.args, e.options), Made | Given | Weight, moved))
            for e in self.entries.values()
        ]

    def _places(self, numbers: Sequence[int]) -> list[int]:
        return [list(self.data).index(n) for n in numbers]


def _needed(tape: Tape, wanted: set[int]) -> dict[int, Entry]:
    """The entries that lead to these, with what writes into memory they read."""
    found: dict[int, Entry] = {}
    memory: set[int] = set()
    for number in range(max(wanted), -1, -1):
        entry = tape.entries[number]
        if number in wanted or (entry.writes is not None and entry.writes in memory):
            found[number] = entry
            memory |= entry.reads
            wanted = wanted | {r.entry for r in entry.refs if isinstance(r, Made)}
    return found


def _batched(entries: Any, data: dict[int, Data]) -> list[int]:
    """Data with one entry a sample: as long as the first that enters a module, or the first."""
    order = [r.number for e in entries for r in e.refs if isinstance(r, Given)]
    first = [
        r.number
        for e in entries
        if isinstance(e.call, nn.Module)
        for r in e.refs
        if isinstance(r, Given) and data[r.number].value.ndim
    ]
    first += [n for n in order if data[n].value.ndim]
    if not first:
        return []
    count = len(data[first[0]].value)
    fitting = [n for n in order if data[n].value.ndim and len(data[n].value) == count]
    return list(dict.fromkeys([first[0], *fitting]))


def _stand_in(own: nn.Module | None, model: nn.Module | None) -> dict[int, Any]:
    """The modules and parameters of a copy of the model, by the ids of the model's own."""
    if own is None or model is None or model is own:
        return {}
    copies: dict[str, Any] = dict(model.named_modules(remove_duplicate=False))
    weights: dict[str, Any] = dict(model.named_parameters(remove_duplicate=False))
    found = {id(m): copies[n] for n, m in own.named_modules(remove_duplicate=False) if n in copies}
    named = own.named_parameters(remove_duplicate=False)
    return found | {id(p): weights[n] for n, p in named if n in weights}


@contextlib.contextmanager
def _switched(around: Surroundings) -> Iterator[None]:
    """Gradients and mixed precision as they were; where gradients were on, as they are now."""
    with contextlib.ExitStack() as stack:
        for device, (on, dtype) in around.autocast.items():
            if on or torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, dtype, on, cache_enabled=False))
        if not around.grad:
            stack.enter_context(torch.no_grad())
        yield


def _restore(around: Surroundings) -> None:
    python, numpy, cpu, cuda = around.random
    random.setstate(python)
    np.random.set_state(numpy)
    torch.set_rng_state(cpu)
    if cuda:
        torch.cuda.set_rng_state_all(cuda)
    with torch.no_grad():
        for buffer, value in around.buffers:
            buffer.copy_(value)


def _called(call: Any) -> Any:
    """What is called, so that it can be compared: sampled steps wrap some functions, and a module
    that holds nothing may be made anew in each step."""
    if isinstance(call, nn.Module):
        return id(call) if call.state_dict() else repr(call)
    return getattr(call, "__name__", ""), str(getattr(call, "__self__", ""))[:200]
