"""Generators of random numbers that a model or a loss holds for itself, beside torch's own."""

import copy
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from unstuck.lab.subject import Subject, filled

Restore = Callable[[], None]


def generators(subject: Subject) -> dict[str, Restore]:
    """Generators that the model or the loss holds for itself: where, and how to put each back."""
    found: dict[int, tuple[str, Restore]] = {}
    for where, holder in _held_by(subject):
        for name, value in holder.items():
            restore = _restoring(value)
            if restore is not None:
                found.setdefault(id(value), (f"{where}{name}", restore))
    return dict(found.values())


def _held_by(subject: Subject) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, module in subject.model.named_modules():
        yield (f"{subject.name}.{name}." if name else f"{subject.name}."), vars(module)
    loss = subject.loss
    yield "loss.", getattr(loss, "__dict__", {})
    yield "loss.", getattr(getattr(loss, "__self__", None), "__dict__", {})
    code = getattr(loss, "__code__", None)
    if code is not None:
        cells = [c.cell_contents for c in loss.__closure__ or () if filled(c)]
        yield "the loss's ", dict(zip(code.co_freevars, cells, strict=False))
    for function in (loss, type(subject.model).forward):
        names = getattr(getattr(function, "__code__", None), "co_names", ())
        known = getattr(function, "__globals__", {})
        yield "global ", {name: known[name] for name in names if name in known}


def _restoring(value: Any) -> Restore | None:
    if isinstance(value, torch.Generator):
        kept = value.get_state()

        def put_back() -> None:
            value.set_state(kept)

        return put_back
    if isinstance(value, np.random.Generator):
        bits = copy.deepcopy(value.bit_generator.state)
        return lambda: setattr(value.bit_generator, "state", bits)
    if isinstance(value, np.random.RandomState):
        state = value.get_state()
        return lambda: value.set_state(state)
    if isinstance(value, random.Random):
        numbers = value.getstate()
        return lambda: value.setstate(numbers)
    return None
