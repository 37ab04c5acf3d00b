"""What every probe promises: a page, facts of the glossary, and that nothing is left of it."""

import contextlib
import random
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from probe_state import differences, everything
from torch import Tensor, nn

from unstuck.examine import performed
from unstuck.experiment import NotProbed, Probe
from unstuck.lab.subject import Rollout, Subject
from unstuck.vocabulary import meaning_of

SECTIONS = ("## Why", "## How it is measured", "## Facts", "## Example", "## References")
SECONDS = 3  # for an experiment on one of the subjects below
Made = Callable[[], Subject]


def classifier() -> Subject:
    """Dropout, running statistics, hooks and a gradient that waits: much to put back."""
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2),
        nn.Flatten(), nn.Linear(4 * 64, 10),
    )  # fmt: skip
    model[4].eval()
    model[0].register_forward_hook(lambda module, args, out: out * 1.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    data = [(torch.randn(16, 1, 8, 8), torch.randint(10, (16,))) for _ in range(6)]
    for x, y in data[:2]:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return Subject(model, data[0], F.cross_entropy, optimizer, batches=data[1:4], held_out=data[4:])


class Mixer(nn.Module):
    """A small U-net whose buffer counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.deep = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.up = nn.Conv2d(8, 1, 3, padding=1)
        self.register_buffer("calls", torch.zeros(()))
        self.count = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.count += 1
        skip = F.relu(self.down(x))
        deep = F.relu(self.deep(F.avg_pool2d(skip, 2)))
        return self.up(torch.cat([skip, F.interpolate(deep, scale_factor=2)], 1))


def pictures() -> Subject:
    """Picture to picture, terms by name, random numbers in the loss, SGD with momentum."""
    model = Mixer()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    data = [(torch.rand(8, 1, 16, 16), torch.rand(8, 1, 16, 16)) for _ in range(4)]

    def loss(model: nn.Module, batch: Any) -> dict[str, Tensor]:
        x, y = batch
        out = model(x + 0.01 * torch.randn_like(x))
        return {
            "fit": F.mse_loss(out, y),
            "flat": 0.1 * (out[..., 1:] - out[..., :-1]).abs().mean(),
        }

    subject = Subject(model, data[0], loss, optimizer, batches=data[1:3], held_out=data[3:])
    subject.value().backward()
    optimizer.step()
    return subject


def automaton() -> Subject:
    """A rule applied again and again, with a rollout."""
    rule = nn.Conv2d(3, 3, 3, padding=1, padding_mode="circular")
    start = torch.zeros(4, 3, 12, 12)
    start[:, :, 6, 6] = 1.0
    target = torch.rand(4, 12, 12)

    def advance(state: Tensor, steps: int) -> Tensor:
        for _ in range(steps):
            state = state + 0.1 * torch.tanh(rule(state))
        return state

    def error(state: Tensor) -> Tensor:
        return (state[:, 0] - target).square().mean((1, 2))

    def loss(model: nn.Module, batch: Tensor) -> Tensor:
        return error(advance(batch, 4)).mean()

    optimizer = torch.optim.Adam(rule.parameters(), lr=1e-3)
    return Subject(rule, start, loss, optimizer, rollout=Rollout(start, advance, 4, error))


SUBJECTS: tuple[Made, ...] = (classifier, pictures, automaton)


def fresh(make: Made) -> Subject:
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    return make()


def check_page(probe: Probe) -> None:
    lines = probe.page.splitlines()
    assert lines and lines[0].startswith(f"{probe.name}: "), "the page begins `<name>: ...`"
    assert lines[0].endswith("."), "its first line is a sentence"
    missing = [s for s in SECTIONS if s not in probe.page]
    assert not missing, f"the page of {probe.name} lacks {missing}"
    assert ">>> " in probe.page, "its example can be run"
    for pattern in probe.facts:
        assert meaning_of(pattern.replace("*", "x")), f"{pattern} is not in the glossary"


def check_facts(probe: Probe, make: Made) -> bool:
    """Facts are declared, explained and numbers that can be stored; False where nothing is told."""
    try:
        result = performed(probe, fresh(make), seconds=SECONDS)
    except NotProbed as reason:
        assert len(str(reason)) > 20, "the reason says what would be needed"
        return False
    for name, value in result.facts.items():
        assert any(fnmatchcase(name, p) for p in probe.facts), f"{name} is not declared"
        assert meaning_of(name), f"{name} is not in the glossary"
        assert isinstance(value, bool | int | float | str), f"{name} is a {type(value).__name__}"
    assert result.facts, "a probe that looked tells something"
    return True


def check_untouched(probe: Probe, make: Made) -> None:
    """Bitwise as before: after the experiment, and the next training step too."""
    subject = fresh(make)
    before = everything(subject)
    with contextlib.suppress(NotProbed):
        performed(probe, subject, seconds=SECONDS)
    assert not differences(before, everything(subject))
    assert _next_step(subject) == _next_step(fresh(make))


def check_interrupted(probe: Probe, make: Made, at: int, error: type[BaseException]) -> None:
    """The same where the experiment is broken off at its n-th look at the model."""
    subject = fresh(make)
    before = everything(subject)
    with contextlib.suppress(NotProbed, error), _broken_off(at, error):
        performed(probe, subject, seconds=SECONDS)
    assert not differences(before, everything(subject))


@contextlib.contextmanager
def _broken_off(at: int, error: type[BaseException]) -> Iterator[None]:
    calls = 0

    def count(*_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls >= at:
            raise error("broken off")

    handle = nn.modules.module.register_module_forward_hook(count)
    try:
        yield
    finally:
        handle.remove()


def _next_step(subject: Subject) -> list[float]:
    assert subject.optimizer is not None
    subject.optimizer.zero_grad()
    loss = subject.value()
    loss.backward()
    subject.optimizer.step()
    weights = (p.detach().double().sum() for p in subject.model.parameters())
    return [float(loss.detach()), *(float(total) for total in weights)]
