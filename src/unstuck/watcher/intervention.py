"""The shape of a live change at work, and the one that calls them.

An intervention is a class in a file of `watcher/interventions/`; the folder is the list, and `kind`
says which change (unstuck.changes) it carries out. It alters the training exactly as the same
change written into the script would, and says `applied()` once it has acted.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from unstuck.changes import Change, fact_of, refusal_of
from unstuck.watcher.altered_calls import AlteredCalls
from unstuck.watcher.folder import classes_in
from unstuck.watcher.functions import Functions
from unstuck.watcher.terms import Terms, derivatives


class Intervention:
    """One change of one place.

    `kind`: the change's; `order`: lower ones act first at one event, and last after a pass
    or a step.
    """

    kind = ""
    order = 0
    one_evaluation = False  # all gradients of a step must come from one call of its closure

    def __init__(self, change: Change, interventions: "Interventions") -> None:
        self.change = change
        self.all = interventions

    @property
    def where(self) -> str:
        """The optimizer, loss, model or layer it acts on."""
        return self.change.where

    def applied(self) -> None:
        """It has acted: the run gets the fact that it did."""
        self.all.note(self.change.name)

    def refuse(self, reason: str) -> None:
        """It cannot be carried out here: the run gets the fact why, and it does no more."""
        self.all.refuse(self, reason)

    def start(self) -> None:
        """The watching begins: the moment to stand in for a function of torch."""

    def stop(self) -> None:
        """It ends: put back everything that outlives a step."""

    def model(self, name: str, model: nn.Module) -> None:
        """A model becomes known; its first forward pass, where it is found by that, comes next."""

    def loss(self, name: str, terms: Terms) -> Tensor | None:
        """A backward pass of a loss is about to begin: what is to be added to the loss.

        `terms.loss` is the loss itself, before AMP scales it or accumulation divides it.
        """
        return None

    def backward(self, name: str) -> None:
        """A backward pass of this loss has ended."""

    def opened(self, name: str, optimizer: Optimizer) -> None:
        """A step of an optimizer begins; a closure, where it has one, has not run yet."""

    def gradients(self, name: str, optimizer: Optimizer) -> bool:
        """The gradients of the step are there. False: the step is to be left out."""
        return True

    def after_step(self, name: str, optimizer: Optimizer) -> None:
        """The step was made, or left out."""

    def skipped(self, optimizer: Optimizer) -> None:
        """A gradient scaler that met an overflow has not even begun the optimizer's step."""


class Interventions:
    """The live changes of a run, carried out."""

    def __init__(
        self, changes: Mapping[str, Change], note: Callable[[Mapping[str, Any]], None]
    ) -> None:
        self._note = note
        self._noted: set[str] = set()
        self.shared: dict[str, Any] = {}  # what several interventions follow together
        kinds = {kind.kind: kind for kind in intervention_classes()} if changes else {}
        made = [kinds[change.kind](change, self) for change in changes.values()]
        self._all: Sequence[Intervention] = sorted(made, key=lambda i: i.order)
        self._each = self._all  # without those that were refused
        self._withheld: dict[int, list[tuple[Tensor, Tensor]]] = {}
        self.optimizers: Callable[[], dict[str, Optimizer]] = dict  # every one that has stepped
        self.idle: Callable[[], dict[str, Optimizer]] = dict  # and those that have not, by name
        self.know: Callable[[str, Optimizer], None]  # calls an optimizer so from now on
        self.models: Mapping[str, nn.Module] = {}
        self.calls: AlteredCalls  # those of torch's loss functions

    def __bool__(self) -> bool:
        return bool(self._all)

    def guard(
        self, mine: Callable[[], bool], own: Callable[..., Any], functions: Functions
    ) -> None:
        """How a hook of an intervention's own is called (see `guarded`), and torch's functions."""
        self._mine, self._own = mine, own
        self.calls = AlteredCalls(functions, self.guarded)

    def guarded(self, call: Callable[..., Any], *args: Any) -> Any:
        """`call(*args)` for a hook of torch's: in the watched thread alone, and a failure ends the
        watching instead of the training. None where it was not called or failed.
        """
        return self._own(call, *args) if self._mine() else None

    def note(self, name: str) -> None:
        if name not in self._noted:
            self._noted.add(name)
            self._note({fact_of(name): 1})

    def refuse(self, intervention: Intervention, reason: str) -> None:
        self._note({refusal_of(intervention.change.name): reason})
        self._each = [i for i in self._each if i is not intervention]

    def start(self) -> None:
        for intervention in self._all:
            intervention.start()

    def stop(self) -> None:
        for optimizer in list(self._withheld):
            self._give_back(optimizer)
        for intervention in reversed(self._all):
            intervention.stop()
        self.calls.stop()

    def model(self, name: str, model: nn.Module) -> None:
        for intervention in self._each:
            intervention.model(name, model)

    def loss(self, name: str, root: Tensor, terms: Terms) -> tuple[Tensor, Terms]:
        """Where the pass begins now, and what that is made of; `root` may be a scaled loss."""
        added, made = [], terms
        for intervention in self._each:
            more = intervention.loss(name, made)
            if more is not None:
                added.append(more)
                made = _with(made, more)
        if not added:
            return root, terms
        extra = torch.stack([e.reshape(()) for e in added]).sum()
        loss = terms.loss + extra.reshape(terms.loss.shape).to(terms.loss.dtype)
        begun = loss
        if root.grad_fn is not terms.loss.grad_fn:
            scale = derivatives(root, [terms.loss])[0].reshape(root.shape)
            begun = root + (extra.reshape(root.shape) * scale).to(root.dtype)
        named = terms.terms
        weights = derivatives(loss, list(named.values())) if named else []
        return begun, Terms(loss, named, dict(zip(named, weights, strict=True)))

    def backward(self, name: str) -> None:
        for intervention in reversed(self._each):
            intervention.backward(name)

    def opened(self, name: str, optimizer: Optimizer) -> None:
        for intervention in self._each:
            intervention.opened(name, optimizer)

    def gradients(self, name: str, optimizer: Optimizer) -> bool:
        """Let each see the gradients, until one wants the step left out: False."""
        looking = [i for i in self._each if type(i).gradients is not Intervention.gradients]
        if not looking or not _to_be_made(optimizer):
            return True
        return all(i.gradients(name, optimizer) for i in looking)

    def withhold(self, optimizer: Optimizer) -> None:
        """Leave the step out: without gradients it changes neither weights nor state."""
        params = [p for group in optimizer.param_groups for p in group["params"]]
        self._withheld[id(optimizer)] = [(p, p.grad) for p in params if p.grad is not None]
        for p in params:
            p.grad = None

    def again(self, name: str) -> None:
        """The closure of a step is called once more: its gradients will be others."""
        for intervention in list(self._each):
            if intervention.one_evaluation and intervention.where == name:
                intervention.refuse("a step of this optimizer evaluates its loss several times")

    def after_step(self, name: str, optimizer: Optimizer) -> None:
        self._give_back(id(optimizer))
        for intervention in reversed(self._each):
            intervention.after_step(name, optimizer)
        self.calls.stepped()

    def skipped(self, optimizer: Optimizer) -> None:
        for intervention in self._each:
            intervention.skipped(optimizer)

    def _give_back(self, optimizer: int) -> None:
        for p, gradient in self._withheld.pop(optimizer, ()):
            p.grad = gradient


def _to_be_made(optimizer: Optimizer) -> bool:
    """Whether the step will be made: a fused one is told of an overflow by its gradient scaler.

    Gradients that it would divide by the scaler's scale are divided here, so that they are seen as
    they are used.
    """
    overflow = getattr(optimizer, "found_inf", None)
    if isinstance(overflow, Tensor) and bool(overflow):
        return False
    scale = getattr(optimizer, "grad_scale", None)
    if isinstance(scale, Tensor):
        gradients = [p.grad for g in optimizer.param_groups for p in g["params"]]
        for gradient in gradients:
            if gradient is not None:
                gradient.mul_(scale.double().reciprocal().to(gradient.device, torch.float32))
        optimizer.grad_scale = None  # type: ignore[attr-defined]
    return True


def _with(terms: Terms, more: Tensor) -> Terms:
    """Terms as they weigh once something is added, for those that are asked next."""
    named = list(terms.terms.values())
    further = derivatives(more, named) if named else []
    weights = dict(zip(terms.weights, further, strict=True))
    return Terms(terms.loss, terms.terms, {n: w + weights[n] for n, w in terms.weights.items()})


def intervention_classes() -> list[type[Intervention]]:
    """Every intervention of the folder."""
    from unstuck.watcher import interventions

    return [kind for kind in classes_in(interventions, Intervention) if kind.kind]
