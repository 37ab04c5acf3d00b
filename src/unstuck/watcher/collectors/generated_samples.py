"""How much a generator's samples differ, beside those its discriminator is shown as real."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from unstuck.watcher.call_sites import Looks
from unstuck.watcher.collector import Collector
from unstuck.watcher.game_samples import Part, made_part, spread_and_nearest

MOST_CALLS = 6  # of one model in one step
KEYS = ("spread", "nearest")


@dataclass(slots=True)
class Calls:
    """What one model was handed in the running step."""

    made: Tensor | None = None  # an input that can be traced back to another network
    where: int = 0  # which argument that is
    part: Part | None = None
    others: list[tuple[Any, ...]] = field(default_factory=list)


class GeneratedSamples(Collector):
    """Compares inputs that come from another network with those that do not, by model.

    Of the latter the widest spread counts: detached samples may be among them.
    """

    hears = ("generated",)

    def __init__(self, watched: Any) -> None:
        super().__init__(watched)
        self._calls: dict[str, Calls] = {}
        self._looks = Looks()
        self._at = -1

    def before_forward(
        self, name: str, module: nn.Module, args: tuple[Any, ...], outermost: bool
    ) -> None:
        if not outermost:
            return
        step = self.recorder.clock.step
        if step > self._at + 1:
            self._calls.clear()
        self._at = step
        calls = self._calls.setdefault(name, Calls())
        for where, x in enumerate(args):
            if isinstance(x, Tensor) and x.grad_fn is not None and x.is_floating_point():
                if calls.made is None:
                    calls.made, calls.where, calls.part = x.detach(), where, made_part(x)
                return
        if len(calls.others) < MOST_CALLS:
            calls.others.append(tuple(a.detach() if isinstance(a, Tensor) else a for a in args))

    def told(self, kind: str, names: tuple[str, ...], tensors: tuple[Tensor, ...]) -> None:
        found = spread_and_nearest([tensors[0]])
        if found is not None:
            rms = tensors[0].detach()[:64].float().square().mean().sqrt()
            self.hold(
                [found[0][0], found[1][0], rms],
                [f"generated/{names[0]}/{k}" for k in (*KEYS, "rms")],
            )

    def before_step(self, name: str, optimizer: Any) -> None:
        """Both kinds have been seen by the step's second optimizer, whichever comes first."""
        if self._at < self.recorder.clock.step - 1:
            self._calls.clear()
        for model, calls in list(self._calls.items()):
            if calls.made is not None and calls.others:
                del self._calls[model]
                if self._looks.wanted(model):
                    self._compare(model, calls)

    def after_step(self, name: str, optimizer: Any) -> None:
        if self.recorder.clock.step > 0 and len(self.watched.optimizers.all()) < 2:
            self._calls.clear()  # no game: nothing is held from step to step

    def _compare(self, model: str, calls: Calls) -> None:
        assert calls.made is not None
        shape = calls.made.shape
        others = [a[calls.where] for a in calls.others if len(a) > calls.where]
        alike = [x for x in others if isinstance(x, Tensor) and x.shape[1:] == shape[1:]]
        found = spread_and_nearest([calls.made, *alike], calls.part) if alike else None
        if found is None:
            return
        values = [v for pair in found for v in (pair[0], pair[1:].amax())]
        names = [f"{whose}/{model}/{key}" for key in KEYS for whose in ("generated", "real")]
        self.recorder.vector(values, lambda v: dict(zip(names, v, strict=True)))
