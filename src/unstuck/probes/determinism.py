"""determinism: same seed, same numbers; else the first operation that differs, and why.

## Why

Two runs with one seed that end differently cannot be compared, a fault that shows in one of them
cannot be found again, and a resumed run is not the run that was broken off. The cause is one line,
far from where the difference is noticed.

## How it is measured

The loss, its gradients and one optimizer step are computed several times from the same weights,
the same batch and the same states of the global generators of torch, NumPy and Python, and compared
bit by bit. Where they differ, every operation of two more steps is compared, also those of the
backward pass; the first that differs is named, with its layer. What went into it and what came out
tell the kinds of cause apart:

- `kernel`: the same numbers went in, others came out (sums by several threads or atomic adds);
- `generator`: random numbers of a generator of its own, which `torch.manual_seed` does not reach;
  it is found where the model or the loss holds it, and put back as a proof;
- `outside`: a value from outside torch went in: the clock, `os.urandom`, a counter, a file;
- `course`: other operations ran;
- `uninitialised`: the result changes with what uninitialised memory (`torch.empty`) is filled with.

Then: does a step after loading the state dicts of model and optimizer equal the one before
(`resumes`)? Not so where a counter or a cache is outside of them. Does the order of the data
repeat? Which generators must be seeded? Would `torch.use_deterministic_algorithms(True)` refuse an
operation? Not seen: what differs from process to process only, such as the order of a set of
texts (PYTHONHASHSEED), and kernels that happen to agree this time.

## Facts

- `determinism/<model>/same` (true, false): every repetition agreed, bit by bit
- `determinism/<model>/difference` (1): largest relative difference of the loss and the gradients
- `determinism/<model>/cause`, `first_op`, `module` (text): where they differ
- `determinism/<model>/resumes` (true, false): a step from the state dicts equals the first
- `determinism/<model>/data_same` (true, false): the same batches, twice; with batches only
- `determinism/<model>/seeds` (text): global generators that must be seeded beside torch's
- `determinism/<model>/refused` (text): what deterministic algorithms refuse, if anything

## Example

A layer that adds noise of a generator of its own:

>>> import numpy as np
>>> import torch
>>> from torch import nn
>>> from unstuck import Subject
>>> class Noisy(nn.Module):
...     def __init__(self):
...         super().__init__()
...         self.layer, self.noise = nn.Linear(4, 2), np.random.default_rng(0)
...     def forward(self, x):
...         return self.layer(x) + torch.from_numpy(self.noise.normal(size=(len(x), 2)))
>>> batch = (torch.randn(8, 4), torch.randn(8, 2))
>>> found = determinism(Subject(Noisy(), batch, nn.functional.mse_loss))
>>> found.facts["determinism/model/same"], found.facts["determinism/model/cause"]
(False, 'generator')
>>> print(found.said[0][:74])
Two equal steps differ, first in lift_fresh (model): model.noise is a gene

## References

- PyTorch, "Reproducibility", https://pytorch.org/docs/stable/notes/randomness.html
- Pham et al., "Problems and Opportunities in Training Deep Learning Software Systems: An Analysis
  of Variance" (ASE 2020), https://doi.org/10.1145/3324884.3416545
- Zhuang et al., "Randomness in Neural Network Training: Characterizing the Impact of Tooling"
  (2021), https://arxiv.org/abs/2106.11872
"""

import itertools
import math
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from unstuck.experiment import Listing, NotProbed, Result, probe
from unstuck.lab.batch import tensors
from unstuck.lab.generators import generators
from unstuck.lab.operations import Operation, digest, first_difference
from unstuck.lab.operations_repeated import (
    Step,
    from_checkpoint,
    largest_difference,
    once,
)
from unstuck.lab.subject import Subject
from unstuck.lab.untouched import untouched
from unstuck.records import Scalar

REPEATS = 4  # plain steps; a race between threads does not show in each
TRIES = 6  # pairs of recorded steps until the difference shows
BATCHES = 3  # first batches of the data that are read twice
TROUBLE = (RuntimeError, ValueError, TypeError, KeyError, AttributeError, NotImplementedError)


@dataclass(frozen=True, slots=True)
class _Found:
    """The first operation that differs, and why."""

    cause: str
    operation: Operation | None
    reason: str
    difference: float


@probe("determinism/*", cheap=True)
def determinism(subject: Subject, *, seconds: float = math.inf) -> Result:
    held = generators(subject)
    try:
        return _compared(subject, seconds)
    finally:
        for restore in held.values():
            restore()


def _compared(subject: Subject, seconds: float) -> Result:
    ends = time.monotonic() + seconds
    began = time.monotonic()
    first = _first(subject)
    took = time.monotonic() - began
    steps = [first]
    while len(steps) < REPEATS and (len(steps) < 2 or time.monotonic() + 4 * took < ends):
        steps.append(once(subject))
    other = next((step for step in steps if step.left != first.left), None)
    found = _told_apart(subject, first, other, ends) if other else _unwritten(subject)
    known: dict[str, Scalar] = {"same": found is None, "seeds": ", ".join(first.draws)}
    said = [_verdict(found, len(steps))]
    if found is not None:
        known |= {"cause": found.cause, "difference": found.difference}
        if found.operation is not None:
            known |= {"first_op": found.operation.name, "module": found.operation.layer}
    elif time.monotonic() + 3 * took < ends:
        _resuming(subject, known, said)
    _data(subject, known, said)
    _refusal(subject, found, known, said)
    if first.draws:
        said.append(
            f"The step draws from the global generator of {' and '.join(first.draws)}, which "
            "torch.manual_seed does not seed."
        )
    facts = {f"determinism/{subject.name}/{name}": value for name, value in known.items()}
    rows = tuple((name, value) for name, value in known.items() if value != "")
    return Result(facts, tuple(said), (Listing("Same seed, same numbers?", ("what", "is"), rows),))


def _first(subject: Subject) -> Step:
    if not any(p.requires_grad for p in subject.model.parameters()):
        raise NotProbed("no parameter of the model asks for gradients: there is no step to repeat")
    try:
        return once(subject)
    except RuntimeError as error:
        if "does not require grad" in str(error):
            raise NotProbed("the loss has no gradient: its graph was cut") from error
        raise


def _verdict(found: _Found | None, repeats: int) -> str:
    if found is None:
        return f"{repeats} steps from one state are the same, bit by bit."
    if found.operation is None:
        return (
            f"Equal steps differ by {found.difference:.2g} of the largest number: {found.reason}."
        )
    way = "" if found.operation.forward else "the gradient of "
    return (
        f"Two equal steps differ, first in {found.operation.name} ({way}{found.operation.layer}): "
        f"{found.reason}. Loss or gradients differ by up to {found.difference:.2g} of their size."
    )


def _unwritten(subject: Subject) -> _Found | None:
    """Whether the step reads memory that nobody has written: told by filling it with numbers."""
    zeros, ones = once(subject, 0), once(subject, 1)
    if zeros.left == ones.left:
        return None
    filled = [once(subject, number, keeps=True).operations for number in (0, 1)]
    pair = first_difference(*filled, outputs=True)
    reason = "it reads memory that nothing has written (torch.empty)"
    operation = pair[1] if pair else None
    return _Found("uninitialised", operation, reason, largest_difference(ones, zeros))


def _told_apart(subject: Subject, first: Step, other: Step, ends: float) -> _Found:
    if (unwritten := _only_filling_differs(subject)) is not None:
        return unwritten
    difference = largest_difference(first, other)
    for _ in range(TRIES):
        pair = first_difference(
            once(subject, 0, keeps=True).operations, once(subject, 0, keeps=True).operations
        )
        if pair is not None:
            cause, reason = _cause(subject, *pair)
            return _Found(cause, pair[1], reason, difference)
        if time.monotonic() > ends:
            break
    return _Found("kernel", None, "not in each repetition, as with threads that race", difference)


def _only_filling_differs(subject: Subject) -> _Found | None:
    """Steps that agree as soon as uninitialised memory holds the same."""
    if len({once(subject, 0).left for _ in range(3)}) > 1:
        return None
    return _unwritten(subject)


def _cause(subject: Subject, one: Operation, other: Operation) -> tuple[str, str]:
    if (one.name, one.layer) != (other.name, other.layer):
        if (where := _own_generator(subject)) is not None:
            return "generator", f"{where} is a generator of its own, and decides what is computed"
        return "course", f"one computed {one.name}, the other {other.name}"
    if one.given != other.given or one.draws:
        if (where := _own_generator(subject)) is not None:
            return "generator", f"{where} is a generator of its own, which no seed resets"
        if one.draws:
            return "generator", "it draws from a generator that is not torch's own"
        reason = "a value from outside torch went in (the clock, os.urandom, a counter, a file)"
        return "outside", reason
    threads = torch.get_num_threads()
    with untouched((subject.model,), subject.optimizer):
        torch.set_num_threads(1)
        alone = len({once(subject).left for _ in range(3)}) == 1
    much = f"; with one thread instead of {threads} it repeats" if alone and threads > 1 else ""
    return "kernel", f"the same numbers went in, others came out{much}"


def _own_generator(subject: Subject) -> str | None:
    """A generator that the model or the loss holds, without which the steps are the same."""
    held = generators(subject)
    seen = set()
    for _ in range(3):
        for restore in held.values():
            restore()
        seen.add(once(subject).left)
    if held and len(seen) == 1:
        return " and ".join(held)
    return None


def _resuming(subject: Subject, known: dict[str, Scalar], said: list[str]) -> None:
    try:
        before, after = from_checkpoint(subject)
        known["resumes"] = before.left == after.left
        if known["resumes"]:
            return
        before, after = from_checkpoint(subject, keeps=True)
    except TROUBLE as error:
        said.append(f"Resuming was not tried: {' '.join(str(error).split())[:120]}.")
        return
    pair = first_difference(before.operations, after.operations)
    where = f", first in {pair[1].name} ({pair[1].layer})" if pair else ""
    said.append(
        "A step after loading the state dicts differs from the one before"
        f"{where}: something that is kept from step to step is in none of them."
    )
    if pair:
        known |= {"first_op": pair[1].name, "module": pair[1].layer}


def _data(subject: Subject, known: dict[str, Scalar], said: list[str]) -> None:
    """Whether the data come in the same order twice, from the same random states."""
    data = subject.batches
    if isinstance(data, Iterator):  # it would be gone
        return
    orders = []
    for _ in range(2):
        with untouched((subject.model,), subject.optimizer):
            read = itertools.islice(data, BATCHES)
            orders.append([digest(list(tensors(batch))) for batch in read])
    if not orders[0]:
        return
    known["data_same"] = orders[0] == orders[1]
    if not known["data_same"]:
        at = next((i for i, (a, b) in enumerate(zip(*orders, strict=False)) if a != b), 0)
        said.append(
            f"The data are others the second time, first in batch {at}: they are shuffled or "
            "changed by a generator that the seed does not reach."
        )


def _refusal(
    subject: Subject, found: _Found | None, known: dict[str, Scalar], said: list[str]
) -> None:
    """What torch.use_deterministic_algorithms(True) makes of the step."""
    with untouched((subject.model,), subject.optimizer):
        torch.use_deterministic_algorithms(True)
        try:
            agree = len({once(subject).left for _ in range(3 if found else 1)}) == 1
        except RuntimeError as error:
            refused = re.match(r"(\S+) does not have a deterministic implementation", str(error))
            if refused or "deterministic" in str(error).lower():
                known["refused"] = refused[1] if refused else " ".join(str(error).split())[:120]
                said.append(f"torch.use_deterministic_algorithms(True) refuses {known['refused']}.")
            return
    if found is not None and found.cause == "kernel":
        helps = "makes the steps the same" if agree else "does not help"
        said.append(f"torch.use_deterministic_algorithms(True) {helps}.")
