"""What a discriminator is shown: which of its calls a loss is made of, and which samples are real.

Made is what has a graph of its own or shares its memory with another model's output. Where that
does not tell (`netD(fake.detach() + noise)`), the loss does, the first time it is met and no score
is far out yet: it falls with the score of real samples and rises with that of made ones. The halves
of a joint batch are told the same way. A loss that falls with the score of samples that have a
graph, beside that of real ones where it has both, is the generator's.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks

from unstuck.watcher.intervention import Intervention, Interventions
from unstuck.watcher.model_calls import ModelCalls, part_named

MOST_HELD = 16  # calls since the discriminator's last step
MOST_OUTPUTS = 4  # of other models since then

REAL, MADE = "real", "made"
Shares = tuple[str, str]  # of the first and the second half of a batch: real or made


@dataclass(eq=False, slots=True)
class Call:
    """One call: what gradients are taken by, and whether that is known to be made."""

    inputs: list[Tensor]
    has_graph: bool
    is_output: bool  # of another model
    output: Tensor | None = None


class Judged:
    """The calls of one discriminator, with inputs that gradients can be taken by.

    They are handed over as copies, so that a layer may change its input in place.
    """

    def __init__(self, where: str, interventions: Interventions) -> None:
        self._where = where
        self._all = interventions
        self._model: nn.Module | None = None
        self._calls = ModelCalls(self._before, interventions.guarded, self._after)
        self._hook: Any = None
        self._running: Call | None = None
        self._held: deque[Call] = deque(maxlen=MOST_HELD)
        self._outputs: deque[Tensor] = deque(maxlen=MOST_OUTPUTS)
        self._shares: dict[tuple[str, int], list[Shares] | None] = {}  # None: the generator's
        self._upside_down = False  # real samples are to get low scores
        self.problem = ""  # why its calls cannot be followed

    def start(self) -> None:
        if self._hook is None:
            self._calls.start()
            self._hook = hooks.register_module_forward_hook(self._put_out)

    def stop(self) -> None:
        if self._hook is not None:
            self._calls.stop()
            self._hook.remove()
        self._hook = None
        self.stepped()

    def know(self, name: str, model: nn.Module) -> None:
        part = part_named(self._where, name, model)
        if part is not None:
            self._model = part
            self._calls.of(part)

    def stepped(self) -> None:
        """The discriminator has been trained: its calls up to now are done with."""
        self._held.clear()
        self._outputs.clear()

    @property
    def parameters(self) -> list[nn.Parameter]:
        return [] if self._model is None else list(self._model.parameters())

    def reached(self, name: str, loss: Tensor) -> list[tuple[Call, Shares]]:
        """The calls that a loss of the discriminator's is made of; none for a generator's."""
        calls = [c for c in self._held if c.output is not None]
        if not calls or loss.grad_fn is None:
            return []
        outputs = [c.output for c in calls if c.output is not None]
        found = torch.autograd.grad(loss, outputs, retain_graph=True, allow_unused=True)
        met = [(c, s) for c, s in zip(calls, found, strict=True) if s is not None]
        key = (name, len(met))
        if met and key not in self._shares:
            decided, certain = self._decide(met)
            if not certain:
                return []
            self._shares[key] = decided
        shares = self._shares.get(key) if met else None
        return [(c, s) for (c, _), s in zip(met, shares, strict=True)] if shares else []

    def _before(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        self._running = None
        if module is not self._model or not torch.is_grad_enabled():
            return None
        given = [a for a in args if isinstance(a, Tensor) and a.is_floating_point()]
        if not given:
            self.problem = f"{self._where} is called without a tensor of its own, or by keywords"
            return None
        held = {o.untyped_storage().data_ptr() for o in self._outputs}
        call = self._running = Call(
            [a if a.requires_grad else a.detach().requires_grad_() for a in given],
            any(a.grad_fn is not None for a in given),
            any(a.untyped_storage().data_ptr() in held for a in given),
        )
        leaves = iter(call.inputs)
        return tuple(_copied(a, leaves) if _floating(a) else a for a in args)

    def _after(self, module: nn.Module, output: Any) -> None:
        call, self._running = self._running, None
        if call is None or module is not self._model:
            return
        if not isinstance(output, Tensor):
            self.problem = f"{self._where} puts out no single tensor"
        elif output.requires_grad:
            call.output = output
            self._held.append(call)

    def _put_out(self, module: nn.Module, args: Any, output: Any) -> None:
        """Remember what other models have made, for as long as its memory is not used again."""
        if not isinstance(output, Tensor) or torch.compiler.is_compiling():
            return
        if module is not self._model and any(m is module for m in self._all.models.values()):
            self._all.guarded(self._outputs.append, output.detach())

    def _decide(self, met: Sequence[tuple[Call, Tensor]]) -> tuple[list[Shares] | None, bool]:
        """What each call was shown, None for the generator's loss; and whether that is certain."""
        slopes = [float(s.mean()) for _, s in met]
        known = [c.has_graph or c.is_output for c, _ in met]
        with_graph = any(c.has_graph for c, _ in met)
        if all(known) and not with_graph and min(slopes) < 0 < max(slopes):
            known = [False] * len(met)  # features of real samples and of made ones, both put out
        if not any(known):
            halves = self._halves(met[0][1]) if len(met) == 1 else None
            return ([halves], True) if halves else self._by_slopes(slopes)
        made = [s for s, k in zip(slopes, known, strict=True) if k]
        real = [s for s, k in zip(slopes, known, strict=True) if not k]
        turning = max(made) - (min(real) if real else 0.0)  # what the loss does to made samples
        if not with_graph:
            self._turn(turning < 0)
        if with_graph and not real and min(made) < 0 < max(made):
            return None, True  # an encoder's and a generator's at once: nobody can say whose
        if with_graph and turning and (turning < 0) is not self._upside_down:
            return None, True
        return [(MADE, MADE) if k else (REAL, REAL) for k in known], True

    def _by_slopes(self, slopes: Sequence[float]) -> tuple[list[Shares] | None, bool]:
        """By which scores the loss falls: of several calls by the middle, of one by zero."""
        middle = (min(slopes) + max(slopes)) / 2 if len(slopes) > 1 else 0.0
        sides = [REAL if (s < middle) is not self._upside_down else MADE for s in slopes]
        return [(side, side) for side in sides], min(slopes) < 0 or max(slopes) > 0

    def _turn(self, upside_down: bool) -> None:
        """Learn from samples that are known to be made whether they are to get high scores."""
        if upside_down is not self._upside_down:
            self._upside_down = upside_down
            self._shares.clear()

    def _halves(self, slopes: Tensor) -> Shares | None:
        """The halves of a joint batch, where one is pushed up and the other down, row by row."""
        rows = slopes.flatten(1).sum(1) if slopes.ndim > 1 else slopes
        half, odd = divmod(len(rows), 2)
        if odd or not half:
            return None
        first, second = rows[:half], rows[half:]
        if bool((first < 0).all() & (second > 0).all()):
            found = (REAL, MADE)
        elif bool((first > 0).all() & (second < 0).all()):
            found = (MADE, REAL)
        else:
            return None
        return (found[1], found[0]) if self._upside_down else found


def judged(intervention: Intervention) -> Judged:
    """The calls of the discriminator an intervention acts on, shared by those that do."""
    shared, where = intervention.all.shared, intervention.where
    found: Judged = shared.setdefault(f"judged/{where}", Judged(where, intervention.all))
    return found


def _floating(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def _copied(value: Tensor, leaves: Any) -> Tensor:
    leaf: Tensor = next(leaves)
    return value if leaf is value else leaf.clone()
