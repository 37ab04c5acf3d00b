"""One training step again and again from the same state, and what else it could depend on."""

import copy
import random
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unstuck.lab import batch as batches_of
from unstuck.lab.allocation import make_step
from unstuck.lab.operations import Operation, Recorder, digest
from unstuck.lab.subject import Subject
from unstuck.lab.untouched import untouched


@dataclass(frozen=True, slots=True)
class Step:
    """A training step's numbers: its loss, its gradients, a digest of all it leaves behind."""

    loss: Tensor
    gradients: dict[str, Tensor]
    left: str
    operations: list[Operation]
    draws: tuple[str, ...]  # global generators beside torch's that it took numbers from


def once(subject: Subject, fill: int | None = None, *, keeps: bool = False) -> Step:
    """A training step from the state there is, which is restored afterwards.

    `fill`: uninitialised memory holds this number; `keeps`: keep every operation.
    """
    with untouched((subject.model, *subject.others), subject.optimizer):
        return made(subject, fill, keeps=keeps)


def made(subject: Subject, fill: int | None = None, *, keeps: bool = False) -> Step:
    """The same, and nothing is restored."""
    for parameter in subject.model.parameters():
        parameter.grad = None
    batch = batches_of.mapped(subject.batch, torch.clone)  # a step may write into its batch
    before = random.getstate(), digest(_numpy_state())
    fill = 0 if keeps and fill is None else fill
    recorder = Recorder(subject.model, subject.name, fill, keeps=keeps)
    if fill is not None:
        with recorder.following():
            loss = subject.value(batch)
            recorder.forward = False
            loss.backward()
    else:
        loss = subject.value(batch)
        loss.backward()
    named = subject.model.named_parameters()
    gradients = {n: p.grad.detach().clone() for n, p in named if p.grad is not None}
    if subject.optimizer is not None:
        make_step(subject.optimizer)
    after = random.getstate(), digest(_numpy_state())
    draws = [n for n, a, b in zip(("python", "numpy"), before, after, strict=True) if a != b]
    left = digest([loss, gradients, dict(subject.model.state_dict(keep_vars=False))])
    return Step(loss.detach().clone(), gradients, left, recorder.operations, tuple(draws))


def from_checkpoint(subject: Subject, *, keeps: bool = False) -> tuple[Step, Step]:
    """A step, and the same one after resuming from what state dicts and generators held before it.

    ValueError or RuntimeError where the model's state cannot be loaded again.
    """
    with untouched((subject.model, *subject.others), subject.optimizer):
        modules = (subject.model, *subject.others)
        held = [copy.deepcopy(m.state_dict()) for m in modules]
        settings = copy.deepcopy(subject.optimizer.state_dict()) if subject.optimizer else {}
        states = random.getstate(), np.random.get_state(), torch.get_rng_state()
        first = made(subject, keeps=keeps)
        for module, state in zip(modules, held, strict=True):
            module.load_state_dict(state)
        if subject.optimizer is not None:
            subject.optimizer.load_state_dict(settings)
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        return first, made(subject, keeps=keeps)


def largest_difference(one: Step, other: Step) -> float:
    """The largest relative difference between the losses and gradients of two steps."""
    pairs = [(one.loss, other.loss)]
    pairs += [(g, other.gradients[n]) for n, g in one.gradients.items() if n in other.gradients]
    found = 0.0
    for a, b in pairs:
        if a.layout is not torch.strided or a.shape != b.shape or not a.numel():
            continue
        a, b = (t.to(torch.complex128 if t.is_complex() else torch.float64) for t in (a, b))
        gap, scale = float((a - b).abs().max()), float(a.abs().max())
        found = max(found, gap / scale if scale > 0 else float(gap > 0))
    return found


def _numpy_state() -> list[str]:
    return [repr(part.tobytes() if hasattr(part, "tobytes") else part)
            for part in np.random.get_state()]  # fmt: skip
