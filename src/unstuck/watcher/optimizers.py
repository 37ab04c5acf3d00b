"""Optimizers as they step: learning rates, gradients, updates, and who trains what."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from unstuck.watcher.collector import Watched
from unstuck.watcher.modules import Modules
from unstuck.watcher.naming import called_on, caller, clean
from unstuck.watcher.recorder import Recorder
from unstuck.watcher.statistics import Place, by_layer, dense, each_norm, one, places, silent_units

NOWHERE = Place("", None)
JUMP = 2.0  # times the learning rate of the step before: another stage of the training


class Optimizers:
    """Names every optimizer and reads its parameters around the steps that are sampled."""

    def __init__(
        self,
        recorder: Recorder,
        watched: Watched,
        modules: Modules,
        given: Mapping[str, Optimizer],
        listen: Callable[[bool], None],
    ) -> None:
        self._recorder = recorder
        self._watched = watched
        self._modules = modules
        self._listen = listen  # to forward passes and functions, where the next step is sampled
        self._only_given = bool(given)
        self._interventions = watched.interventions
        self._interventions.optimizers, self._interventions.know = self.all, self._know
        self.names: dict[int, str] = {}
        self._all: dict[int, Optimizer] = {}
        self._lr: dict[str, float] = {}
        self._places: dict[int, Place] = {}
        self._places_of: tuple[str, ...] = ()
        self._before: dict[int, list[Tensor]] = {}
        self._pending: dict[str, None] = {}  # losses backpropagated since the last steps
        self._stepped = False
        self._trains: dict[str, dict[int, None]] = {}  # loss -> optimizers that follow it
        for name, optimizer in given.items():
            self._know(name, optimizer)

    def backward(self, loss: str) -> None:
        """Note a backward pass: the optimizers that step next are trained by this loss."""
        if self._stepped:
            self._pending.clear()
            self._stepped = False
        self._pending[loss] = None

    def all(self) -> dict[str, Optimizer]:
        """Every optimizer seen so far, by name."""
        return {self.names[key]: optimizer for key, optimizer in self._all.items()}

    def losses_of(self, name: str) -> list[str]:
        """The losses this optimizer is known to follow."""
        return [
            loss for loss, keys in self._trains.items() if name in {self.names[key] for key in keys}
        ]

    def trained_by(self, loss: str) -> list[Tensor]:
        """The parameters of the optimizers that step after this loss."""
        found = {}
        for key in self._trains.get(loss, {}):
            for p in _parameters(self._all[key]):
                if p.requires_grad:
                    found[id(p)] = p
        return list(found.values())

    def before_plain_step(self, optimizer: Optimizer) -> None:
        """Open the step of an optimizer that was given no closure, and look before it."""
        self.open_step(optimizer)
        self.before_step(optimizer)

    def open_step(self, optimizer: Optimizer) -> None:
        """Know the optimizer and count; called before every step of any optimizer."""
        name = self._named(optimizer)
        if name is None:
            return
        if self._recorder.clock.stepped(id(optimizer)):
            self._recorder.new_step()
        self._recorder.clock.inside = True
        if self._interventions:
            self._interventions.opened(name, optimizer)

    def before_step(self, optimizer: Optimizer) -> None:
        """Read rates and gradients, which are there now; the step itself comes next."""
        name = self.names.get(id(optimizer))
        if name is None:
            return
        key, clock = id(optimizer), self._recorder.clock
        taken = not self._interventions or self._interventions.gradients(name, optimizer)
        self._stepped = True
        for loss in self._pending:
            self._trains.setdefault(loss, {})[key] = None
        closely = self._recorder.schedule.layers
        self._read_rates(name, optimizer, closely)
        if closely:
            self._read_gradients(name, optimizer)
            self._before[key] = [
                p.detach().clone() for p in _parameters(optimizer) if p.grad is not None
            ]
            if clock.step > 0:
                self._read_orphans()
            self._recorder.numbers(_memory())
        self._watched.commit(closely)
        self._watched.step_event("before_step", name, optimizer)
        if not taken:
            self._interventions.withhold(optimizer)

    def closure_again(self, optimizer: Optimizer) -> None:
        """The closure of the step is called once more in it."""
        name = self.names.get(id(optimizer))
        if self._interventions and name is not None:
            self._interventions.again(name)

    def left_out(self, optimizer: Optimizer) -> None:
        """A gradient scaler has left out a step: it counts as one, though nothing was read."""
        if self._recorder.clock.stepped(id(optimizer)):
            self._recorder.new_step()
        self._stepped = True
        if self._interventions:
            self._interventions.skipped(optimizer)
        self._watched.commit(False)
        self._attend_to_next()

    def after_step(self, optimizer: Optimizer) -> None:
        """Read how far the step went; put back a learning rate that was changed for it."""
        key = id(optimizer)
        self._recorder.clock.inside = False
        if key in self._before:
            self._read_updates(self.names[key], optimizer, self._before.pop(key))
        if self._interventions and key in self.names:
            self._interventions.after_step(self.names[key], optimizer)
        if key in self.names:
            self._watched.step_event("after_step", self.names[key], optimizer)
        self._attend_to_next()

    def _attend_to_next(self) -> None:
        """What was read leaves the device; listen where the next step is sampled."""
        schedule = self._recorder.schedule
        if schedule.layers:
            self._recorder.hand_over()
        again = len(self._all) > 1 and schedule.layers
        self._listen(again or schedule.coming(self._recorder.clock.step + 1)[0])

    def _named(self, optimizer: Optimizer) -> str | None:
        if id(optimizer) not in self.names:
            if self._only_given:
                return None
            frame = caller(2)
            self._know((frame and called_on(frame)) or "optimizer", optimizer)
        return self.names[id(optimizer)]

    def _know(self, name: str, optimizer: Optimizer) -> None:
        unique, count = clean(name), 1
        while unique in self.names.values():
            count += 1
            unique = f"{clean(name)}.{count}"
        self.names[id(optimizer)] = unique
        self._all[id(optimizer)] = optimizer
        self._watched.wake()
        self._recorder.note({f"optimizer/{unique}": type(optimizer).__name__})
        if self._recorder.clock.step > 0:
            self._recorder.schedule.move(self._recorder.clock.step)

    def _read_rates(self, name: str, optimizer: Optimizer, closely: bool) -> None:
        for i, group in enumerate(optimizer.param_groups[:16]):
            key = f"lr/{name}" if i == 0 else f"lr/{name}/{i}"
            rate = group.get("lr")
            if isinstance(rate, Tensor):
                if closely:
                    self._recorder.vector([rate.detach().clone()], one(key))
            elif rate is not None and (closely or self._lr.get(key) != rate):
                before = self._lr.get(key, rate)
                if not rate / JUMP <= before <= rate * JUMP:
                    self._recorder.schedule.move(self._recorder.clock.step)
                self._lr[key] = rate
                self._recorder.rate(key, rate)

    def _place(self, parameter: Tensor) -> Place:
        known = tuple(self._modules.models)
        if known != self._places_of:
            self._places, self._places_of = places(self._modules.models), known
        return self._places.get(id(parameter), NOWHERE)

    def _read_gradients(self, name: str, optimizer: Optimizer) -> None:
        trainable = [p for p in _parameters(optimizer) if p.requires_grad]
        with_gradient = [(p, p.grad) for p in trainable if p.grad is not None]
        if not trainable:
            return
        if not with_gradient:
            self._recorder.numbers({f"gradient_reach/{name}": 0.0})
            return
        layers = [self._place(p).layer for p, _ in with_gradient]
        units = [
            (place.layer, silent_units(dense(g), place.units))
            for p, g in with_gradient
            if (place := self._place(p)).units is not None and not g.is_sparse
        ]
        dead = [f"activation/{layer}/dead_fraction" for layer, _ in units]
        count = len(layers)

        def named(values: list[float]) -> dict[str, float]:
            found = by_layer(f"grad_norm/{name}", layers, values[:count])
            reached = sum(v != 0.0 for v in values[:count])
            found[f"gradient_reach/{name}"] = reached / len(trainable)
            return found | dict(zip(dead, values[count:], strict=True))

        sizes = each_norm([dense(g) for _, g in with_gradient])
        self._recorder.vector([*sizes, *(u for _, u in units)], named)

    def _read_updates(self, name: str, optimizer: Optimizer, before: list[Tensor]) -> None:
        after = [p for p in _parameters(optimizer) if p.grad is not None]
        if len(after) != len(before) or not before:
            return
        layers = [self._place(p).layer for p in after]
        now = [dense(p.detach()) for p in after]
        old = [dense(b) for b in before]
        size = each_norm(old)
        torch._foreach_sub_(old, now)
        moved = each_norm(old)
        count = len(layers)

        def named(values: list[float]) -> dict[str, float]:
            change = by_layer(f"update_ratio/{name}", layers, values[:count])
            weight = by_layer(f"update_ratio/{name}", layers, values[count:])
            return {key: change[key] / weight[key] for key in change if weight[key] > 0}

        self._recorder.vector([*moved, *size], named)

    def _read_orphans(self) -> None:
        owned = {id(p) for o in self._all.values() for p in _parameters(o)}
        for name, model in self._modules.models.items():
            orphans = [
                (n, p)
                for n, p in model.named_parameters()
                if p.requires_grad and p.grad is not None and id(p) not in owned
            ]
            whole = sum(p.numel() for p in model.parameters() if p.requires_grad)
            share = sum(p.numel() for _, p in orphans) / max(1, whole)
            self._recorder.numbers({f"orphaned/{name}": share})
            if orphans:
                layers = dict.fromkeys(n.rsplit(".", 1)[0] for n, _ in orphans)
                self._recorder.note({f"orphaned/{name}/layers": ", ".join(list(layers)[:5])})


def _parameters(optimizer: Optimizer) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]


def _memory() -> dict[str, float]:
    """Bytes in use by device; the resident set stands for the processor's."""
    found: dict[str, Any] = {}
    statm = Path("/proc/self/statm")
    if statm.exists():
        found["bytes/cpu"] = int(statm.read_text().split()[1]) * 4096
    if torch.cuda.is_available():
        found["bytes/cuda"] = torch.cuda.memory_allocated()
    return found
