"""A taped loss and the optimizer that follows it, as the Subject of experiments."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import Parameter
from torch.nn.modules import module as hooks
from torch.optim import Optimizer
from torch.overrides import TorchFunctionMode

from unstuck.experiment import NotProbed
from unstuck.lab import batch as batches_of
from unstuck.lab.subject import Subject
from unstuck.lab.untouched import untouched
from unstuck.watcher.tape_replay import TOTAL, Replay

SAME = 1e-6  # relative: of a loss that is the same one


def subject_of(
    replay: Replay, optimizer: Optimizer, models: Mapping[str, nn.Module], earlier: Sequence[Replay]
) -> Subject:
    """What this loss trains, with batches of earlier steps. NotProbed says why it cannot be."""
    owners = _owners(replay, models)
    trained = {id(p) for group in optimizer.param_groups for p in group["params"]}
    mine = {n: m for n, m in owners.items() if trained & {id(p) for p in m.parameters()}}
    loose = [p for p in replay.weights if not _within(p, owners.values())]
    if not mine and not loose:
        raise NotProbed("the optimizer trains tensors that belong to no module")
    name = "_and_".join(mine) or "weights"
    model = next(iter(mine.values())) if len(mine) == 1 and not loose else _joined(mine, loose)
    rest = [
        m for m in (*owners.values(), *models.values()) if all(m is not x for x in mine.values())
    ]
    others = nn.ModuleList(dict.fromkeys(rest))
    if trained - {id(p) for m in (model, *others) for p in m.parameters()}:
        raise NotProbed("the optimizer trains tensors that belong to no module")
    _no_hooks((model, *others))
    replay.model, replay.others = model, others
    subject = Subject(model, replay.batch, replay.loss, optimizer, name=name)
    subject.others = (others,)
    with untouched((model, others), optimizer), torch.enable_grad():
        _verify(replay)
        replay.whole = not _divides(subject, replay)
    subject.batch = replay.batch
    if not replay.whole:
        subject.batches = tuple(e.batch for e in earlier if e.same_as(replay))
    return subject


def _owners(replay: Replay, models: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    """The models whose modules or parameters the loss uses, by name; a module by itself is one."""
    found: dict[str, nn.Module] = {}
    for module in replay.modules:
        if next(module.parameters(), None) is None:
            continue
        known = [(n, m) for n, m in models.items() if any(x is module for x in m.modules())]
        largest = max(known, key=lambda k: sum(1 for _ in k[1].modules()), default=None)
        name, model = largest or (type(module).__name__, module)
        while name in found and found[name] is not model:
            name += "_"
        found[name] = model
    for weight in replay.weights:
        if not _within(weight, found.values()):
            found |= dict([(n, m) for n, m in models.items() if _within(weight, [m])][:1])
    inside = {id(x) for m in found.values() for x in list(m.modules())[1:]}
    return {n: m for n, m in found.items() if id(m) not in inside}


def _within(parameter: Parameter, models: Any) -> bool:
    return any(p is parameter for m in models for p in m.parameters())


def _joined(models: Mapping[str, nn.Module], loose: Sequence[Parameter]) -> nn.Module:
    """Several models as one; the loss calls its parts."""
    whole = nn.Module()
    for name, model in models.items():
        whole.add_module(name.replace(".", "_"), model)
    for i, parameter in enumerate(loose):
        whole.register_parameter(f"weight_{i}", parameter)
    return whole


def _no_hooks(models: Sequence[nn.Module]) -> None:
    """Hooks of the script's own would hear the experiments, and keep what they heard."""
    kinds = (*("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"),)
    for module in (m for model in models for m in model.modules()):
        held = [h for kind in kinds for h in getattr(module, kind).values()]
        held += [
            h
            for p in module.parameters(recurse=False)
            for kind in ("_backward_hooks", "_post_accumulate_grad_hooks")
            for h in (getattr(p, kind, None) or {}).values()
        ]
        if any(not _torchs(hook) for hook in held):
            raise NotProbed("the script has put hooks on its modules, which would hear the "
                            "experiments")  # fmt: skip
    if hooks._global_backward_hooks or hooks._global_backward_pre_hooks:
        raise NotProbed("hooks on all backward passes would hear the experiments")


def _torchs(hook: Any) -> bool:
    """Whether a hook is torch's own, such as that of spectral_norm."""
    return str(getattr(hook, "__module__", None) or type(hook).__module__).startswith("torch.")


def _verify(replay: Replay) -> None:
    """The tape gives the loss there was, and nothing draws where it cannot be put back."""
    with _without_generators():
        again = replay.verify()
    if again.grad_fn is None:
        raise NotProbed("the loss has no gradient")
    was, now = float(replay.value), float(again.detach())
    if not abs(now - was) <= SAME * max(abs(was), abs(now)):
        raise NotProbed(
            f"run again, the step gives a loss of {now:.6g} where it was {was:.6g}: something in "
            "it is decided outside of torch, or was changed since"
        )


@contextlib.contextmanager
def _without_generators() -> Iterator[None]:
    """NotProbed where a module draws from a random generator of its own; that is put back."""
    seen: dict[int, tuple[torch.Generator, Tensor]] = {}

    class Mode(TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
        ) -> Any:
            for value in (*args, *(kwargs or {}).values()):
                if isinstance(value, torch.Generator) and id(value) not in seen:
                    seen[id(value)] = value, value.get_state()
            return func(*args, **(kwargs or {}))

    try:
        with Mode():
            yield
    finally:
        for generator, state in seen.values():
            generator.set_state(state)
    if seen:
        raise NotProbed("a module draws from a random generator of its own")


def _divides(subject: Subject, replay: Replay) -> bool:
    """Whether the loss of some of the samples is a loss: about the mean of that of two halves.

    It is about half of that where the number of samples is written into the step (`sum() / 32`).
    """
    count = subject.samples
    if count < 2:
        return True
    parts = (slice(0, count // 2), slice(count // 2, count))
    try:
        losses = []
        for part in (None, *parts):
            torch.manual_seed(0)
            batch = replay.batch if part is None else batches_of.taken(replay.batch, part)
            with torch.no_grad():
                losses.append(float(replay.loss(subject.model, batch)[TOTAL]))
    except (RuntimeError, ValueError, IndexError, TypeError):
        return False
    whole, *halves = losses
    mean = sum(halves) / 2
    return bool(abs(mean - whole) <= abs(mean - whole / 2))
