"""Schedules of the learning rate that are made for an optimizer and never stepped.

A scheduler is heard of where it is made, or looked for once among all objects where the optimizer's
`step` shows that one was made before the watching began. Whether any of an optimizer's schedulers
has been stepped is read from their own counters, so that outer ones, trainers and wrappers need no
rule of their own.
"""

import gc
import weakref
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torch.optim.swa_utils import SWALR

from unstuck.lab.untouched import untouched
from unstuck.watcher.collector import Collector, Watched
from unstuck.watcher.data_passes import DataPasses
from unstuck.watcher.schedule_held import HeldSchedule
from unstuck.watcher.schedule_shape import first_move, is_quiet, length, share

FIRST_NOTED = 32  # steps; from then on whenever their number has doubled
DEEPEST = 4  # wrappers around each other
PLACE = "torch.optim.lr_scheduler"
MARKS = ("_wrapped_by_lr_sched", "_with_counter")  # of the step of an optimizer with a scheduler


@dataclass(slots=True)
class Following:
    """The schedulers of an optimizer that none has been seen stepped of."""

    name: str
    since: int  # the first step that was made with one
    held: list[HeldSchedule]
    passes_before: dict[int, int]  # through each data set
    validations_before: int
    noted: int = FIRST_NOTED // 2

    @property
    def stepped(self) -> bool:
        return any(one.stepped for one in self.held)

    @property
    def gone(self) -> bool:
        return all(one.alive is None for one in self.held)


class UnsteppedSchedules(Collector):
    """`unstepped/<optimizer>`: steps with a schedule that was never stepped; 0 without one."""

    functions = (f"{PLACE}.LRScheduler.__init__", f"{PLACE}.ReduceLROnPlateau.__init__")

    def __init__(self, watched: Watched) -> None:
        super().__init__(watched)
        self._made: list[weakref.ref[LRScheduler]] = []
        self._following: dict[int, Following] = {}
        self._without: set[int] = set()  # optimizers that no schedule is known of
        self._settled: set[int] = set()
        self._sought: set[int] = set()
        self._passes = DataPasses(lambda: self.recorder.clock.step)

    def called(self, function: str, args: tuple[Any, ...], options: Any, result: Any) -> None:
        if args and isinstance(args[0], LRScheduler):
            self._made = [weak for weak in self._made if weak() is not None]
            self._made.append(weakref.ref(args[0]))

    def after_step(self, name: str, optimizer: Optimizer) -> None:
        key = id(optimizer)
        if key in self._settled:
            return
        following = self._following.get(key) or self._begin(name, optimizer)
        if following is None:
            return
        if following.stepped or following.gone:
            self._settle(key)
            return
        self._join(following, optimizer)
        steps = self.recorder.clock.step - following.since + 1
        if steps >= 2 * following.noted:
            following.noted = steps
            self._note(following, steps, ended=False)

    def close(self) -> None:
        self._passes.stop()
        for key, following in list(self._following.items()):
            steps = self.recorder.clock.step - following.since + 1
            if following.stepped or steps < 2:
                self._settle(key)
            else:
                self._note(following, steps, ended=True)

    def _begin(self, name: str, optimizer: Optimizer) -> Following | None:
        found, key = self._schedulers_of(optimizer), id(optimizer)
        if not found:
            if key not in self._without:
                self._without.add(key)
                self.recorder.note({f"unstepped/{name}": 0})
            return None
        self._following[key] = Following(
            name,
            self.recorder.clock.step,
            [HeldSchedule(s) for s in found],
            self._passes.counted(),
            self.recorder.validations,
        )
        return self._following[key]

    def _join(self, following: Following, optimizer: Optimizer) -> None:
        """Schedulers that were made since: a later stage of the training has its own."""
        known = {id(one.alive) for one in following.held}
        made = self._heard_of(optimizer)
        following.held += [HeldSchedule(s) for s in made if id(s) not in known]

    def _settle(self, key: int) -> None:
        self._settled.add(key)
        following = self._following.pop(key)
        self.recorder.note({f"unstepped/{following.name}": 0})

    def _schedulers_of(self, optimizer: Optimizer) -> list[LRScheduler]:
        found, key = self._heard_of(optimizer), id(optimizer)
        wrapped = any(hasattr(optimizer.step, mark) for mark in MARKS)
        if not found and wrapped and key not in self._sought:
            self._sought.add(key)
            every = [o for o in gc.get_objects() if issubclass(type(o), LRScheduler)]
            self._made += [weakref.ref(s) for s in every]
            found = self._heard_of(optimizer)
        return found

    def _heard_of(self, optimizer: Optimizer) -> list[LRScheduler]:
        """Of this optimizer; without those that begin late in a training by their nature."""
        alive = (weak() for weak in self._made)
        of_it = [s for s in alive if s is not None and _innermost(s) is optimizer]
        return [s for s in of_it if not isinstance(s, SWALR)]

    def _note(self, following: Following, steps: int, *, ended: bool) -> None:
        where, every = f"unstepped/{following.name}", [held.again() for held in following.held]
        shapes = [s for s in every if not isinstance(s, ReduceLROnPlateau)]
        facts: dict[str, Any] = {
            "schedule": type((shapes or every)[0]).__name__,
            "by_metric": not shapes,
            "validations": self.recorder.validations - following.validations_before,
        }
        lengths = [n for n in (length(s) for s in shapes) if n]
        if len(lengths) == 1:
            facts["length"] = lengths[0]
        if ended:
            facts["ended"] = True
        if self._passes.used:
            facts["passes"] = self._passes.most_since(following.passes_before)
        if ended or all(is_quiet(s) for s in shapes):
            facts["share"] = min((share(s) for s in shapes), default=1.0)
            facts |= _moves(shapes, steps)
        self.recorder.note({where: steps} | {f"{where}/{key}": v for key, v in facts.items()})


def _innermost(scheduler: LRScheduler) -> Any:
    """The optimizer that steps, where it was made for one that wraps it (Accelerate's)."""
    found = vars(scheduler).get("optimizer")
    for _ in range(DEEPEST):
        inner = vars(found).get("optimizer") if isinstance(found, Optimizer) else None
        if not isinstance(inner, Optimizer):
            break
        found = inner
    return found


def _moves(shapes: list[LRScheduler], steps: int) -> dict[str, int]:
    """After how many of their steps the first of them asks for another rate; 0: for none."""
    quiet = all(is_quiet(s) for s in shapes)
    with nullcontext() if quiet else untouched(()):  # a user's function may draw random numbers
        found = [first_move(s, steps) for s in shapes]
    known = [n for n in found if n is not None]
    return {"moves_after": min((n for n in known if n), default=0)} if known else {}
