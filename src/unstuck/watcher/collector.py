"""The shape of a measurement of a watched loop, and the calls it is told of.

A collector is a class in a file of `watcher/collectors/`; the folder is the list. It overrides
what it wants to hear of, and only that is called. On a sampled step forward passes are seen before
the step's number is known: `hold` keeps what they say until then.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.optim import Optimizer

from unstuck.watcher.folder import classes_in
from unstuck.watcher.intervention import Interventions
from unstuck.watcher.recorder import Recorder

if TYPE_CHECKING:
    from unstuck.watcher.modules import Modules
    from unstuck.watcher.optimizers import Optimizers


class Collector:
    """One measurement. Nothing here may wait for a device, draw a number or change a tensor.

    `functions`: dotted names of torch functions (`torch.nn.functional.cross_entropy`,
    `torch.Tensor.item`) whose calls it hears of; `hears`: kinds of what the user tells
    (`embedding`, `pair`, `pool`, `targets`, `generated`); `every_step`: its backward and step
    methods are called on steps that are not sampled, too (a few statements at most), unless it
    rests; `costly`: it runs only where everything was asked for.
    """

    functions: tuple[str, ...] = ()
    hears: tuple[str, ...] = ()
    every_step = False
    costly = False

    def __init__(self, watched: "Watched") -> None:
        self.watched = watched
        self.recorder: Recorder = watched.recorder
        self.resting = False

    def rest(self, resting: bool = True) -> None:
        """Hear no more of steps that are not sampled, or again; a new optimizer wakes all."""
        if resting is not self.resting:
            self.resting = resting
            self.watched.forget_order()

    def hold(self, values: Sequence[Tensor], names: Sequence[str]) -> None:
        """Keep scalars under these names for the step that runs; the first of a name wins."""
        self.watched.hold(values, names)

    # Sampled steps only, while gradients are recorded and no backward pass runs.

    def before_forward(
        self, name: str, module: nn.Module, args: tuple[Any, ...], outermost: bool
    ) -> None:
        """A module `<model>.<layer>` of a known model is called."""

    def forward(
        self, name: str, module: nn.Module, args: tuple[Any, ...], output: Any, outermost: bool
    ) -> None:
        """It has returned `output` (None where it raised)."""

    def called(self, function: str, args: tuple[Any, ...], options: Any, result: Any) -> None:
        """One of `functions` was called, also without gradients; `function` is its last name."""

    def told(self, kind: str, names: tuple[str, ...], tensors: tuple[Tensor, ...]) -> None:
        """The user told of a value of one of the kinds in `hears`."""

    def term_gradients(
        self,
        loss: str,
        parameters: list[Tensor],
        gradients: Mapping[str, list[Tensor | None]],
    ) -> None:
        """The weighted gradient of every term on the trained parameters; sampled sparsely."""

    # Sampled steps, or every step where `every_step` is set.

    def before_backward(self, loss: str, root: Tensor, value: Tensor) -> None:
        """A backward pass begins at `root`; `value` is the loss without a scale."""

    def after_backward(self, loss: str) -> None:
        """It has ended: gradients are where the script will find them."""

    def before_step(self, name: str, optimizer: Optimizer) -> None:
        """An optimizer is about to step."""

    def after_step(self, name: str, optimizer: Optimizer) -> None:
        """It has stepped."""

    def close(self) -> None:
        """The run ends: the last moment to record anything."""


Listener = tuple[Collector, Callable[..., None]]  # and its method for one event


class Watched:
    """What collectors can ask of the watcher, and the only one that calls them."""

    def __init__(
        self, recorder: Recorder, interventions: Interventions, *, everything: bool = False
    ) -> None:
        self.recorder = recorder
        self.interventions = interventions  # the live changes of the run
        self.modules: Modules
        self.optimizers: Optimizers
        self._held: dict[str, Tensor] = {}
        self._collectors = [
            kind(self) for kind in collector_classes() if everything or not kind.costly
        ]
        self._listeners: dict[str, list[Listener]] = {}
        self._always: dict[str, list[Listener]] | None = None  # on steps that are not sampled
        self._sort()

    @property
    def closely(self) -> bool:
        """Whether the running step is sampled."""
        return self.recorder.schedule.layers

    @property
    def by_term(self) -> bool:
        """Whether the running step also gets what costs a backward pass or more."""
        return self.recorder.schedule.terms

    @property
    def functions(self) -> tuple[str, ...]:
        """Every function some collector wants to hear of."""
        return tuple(dict.fromkeys(f for c in self._collectors for f in c.functions))

    def wants(self, event: str) -> bool:
        """Whether any collector overrides a method."""
        return bool(self._listeners[event])

    def hears(self, event: str) -> bool:
        """Whether anybody is to be told of a backward pass or a step of the running one."""
        if self.recorder.schedule.layers:
            return True
        return bool((self._always or self._awake())[event])

    def wake(self) -> None:
        """Something new: every collector that wants all steps hears of the next one."""
        for collector in self._collectors:
            collector.rest(False)

    def forget_order(self) -> None:
        """Who rests has changed."""
        self._always = None

    def hold(self, values: Sequence[Tensor], names: Sequence[str]) -> None:
        for name, value in zip(names, values, strict=True):
            self._held.setdefault(name, value.detach())

    def commit(self, wanted: bool) -> None:
        """Record what was held since the last backward pass or step, or drop it."""
        if not self._held:
            return
        held, self._held = self._held, {}
        if wanted:
            names = list(held)
            self.recorder.vector(
                list(held.values()), lambda values: dict(zip(names, values, strict=True))
            )

    def sampled(self, event: str, *args: Any) -> None:
        """Tell the collectors of something that happens on sampled steps only."""
        for collector, method in self._listeners[event]:
            self._call(collector, method, args)

    def step_event(self, event: str, *args: Any) -> None:
        """Tell them of a backward pass or a step: of an unsampled one only who asked for all."""
        closely = self.recorder.schedule.layers
        told = self._listeners if closely else (self._always or self._awake())
        for collector, method in told[event]:
            try:
                method(*args)
            except Exception as error:
                self._give_up(collector, error)

    def called(self, function: str, args: tuple[Any, ...], options: Any, result: Any) -> None:
        """A wrapped function returned."""
        last = function.rsplit(".", 1)[-1]
        for collector, method in self._listeners["called"]:
            if function in collector.functions:
                self._call(collector, method, (last, args, options, result))

    def told(self, kind: str, names: tuple[str, ...], tensors: tuple[Tensor, ...]) -> None:
        for collector, method in self._listeners["told"]:
            if kind in collector.hears:
                self._call(collector, method, (kind, names, tensors))

    def close(self) -> None:
        self.sampled("close")

    def _call(
        self, collector: Collector, method: Callable[..., None], args: tuple[Any, ...]
    ) -> None:
        try:
            method(*args)
        except Exception as error:
            self._give_up(collector, error)

    def _give_up(self, collector: Collector, error: Exception) -> None:
        """A measurement that fails is given up with one line; the others go on."""
        name = type(collector).__name__
        text = f"{type(error).__name__}: {error}"[:500]
        self._collectors = [c for c in self._collectors if c is not collector]
        self._sort()
        self.recorder.note({f"exit/collector/{name}": text})
        self.recorder.store.complain(f"gave up measuring {name} ({text})")

    def _sort(self) -> None:
        for event in _EVENTS:
            own: Callable[..., Any] = getattr(Collector, event)
            self._listeners[event] = [
                (c, getattr(c, event))
                for c in self._collectors
                if getattr(type(c), event) is not own
            ]
        self._always = None

    def _awake(self) -> dict[str, list[Listener]]:
        """Who is told of steps that are not sampled, by event."""
        self._always = {
            event: [pair for pair in pairs if pair[0].every_step and not pair[0].resting]
            for event, pairs in self._listeners.items()
        }
        return self._always


_EVENTS = (
    "before_forward",
    "forward",
    "called",
    "told",
    "term_gradients",
    "before_backward",
    "after_backward",
    "before_step",
    "after_step",
    "close",
)


def collector_classes() -> list[type[Collector]]:
    """Every collector of the folder, in the order of its files."""
    from unstuck.watcher import collectors

    return classes_in(collectors, Collector)
