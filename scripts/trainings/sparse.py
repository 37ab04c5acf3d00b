"""Bags of words: inputs that are nearly all zeros, heard or not behind the first layer."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainings import healthy, sick
from trainings.digits import step

WORDS, TOPICS, LENGTH = 4000, 10, 12


def documents(count: int) -> tuple[Tensor, Tensor]:
    """Counts of words (n, WORDS), a dozen a document, half of them its topic's own; topics (n,)."""
    topic = torch.randint(TOPICS, (count,))
    each = WORDS // TOPICS
    own = torch.randint(each // 5, (count, LENGTH)) + topic[:, None] * each
    word = torch.where(torch.rand(count, LENGTH) < 0.5, own, torch.randint(WORDS, (count, LENGTH)))
    return torch.zeros(count, WORDS).scatter_(1, word, 1.0), topic


def reader(depth: int, width: int = 48) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Linear(WORDS, width), nn.ReLU()]
    for _ in range(depth - 2):
        layers += [nn.Linear(width, width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, TOPICS))


def read(model: nn.Module, optimizer: torch.optim.Optimizer, prepare, steps: int = 300) -> None:
    for _ in range(steps):
        x, y = documents(48)
        step(optimizer, F.cross_entropy(model(prepare(x)), y))


def as_counted(x: Tensor) -> Tensor:
    return x


def of_length_one(x: Tensor) -> Tensor:
    return F.normalize(x, dim=1)


def of_unit_variance(x: Tensor) -> Tensor:
    return x * (WORDS / LENGTH) ** 0.5


@sick("DAT002")
def words_too_faint():
    model = reader(4)
    read(model, torch.optim.SGD(model.parameters(), lr=0.1), as_counted)


@sick("DAT002")
def words_of_length_one_too_faint():
    model = reader(2)
    read(model, torch.optim.SGD(model.parameters(), lr=0.1), of_length_one)


@healthy
def words_of_unit_variance():
    model = reader(4)
    read(model, torch.optim.SGD(model.parameters(), lr=0.1), of_unit_variance)


@healthy
def words_of_unit_variance_shallow():
    model = reader(2)
    read(model, torch.optim.SGD(model.parameters(), lr=0.1), of_unit_variance)


@healthy
def words_counted_by_adam():
    """As faint, but an optimizer that does not mind."""
    model = reader(2)
    read(model, torch.optim.Adam(model.parameters(), lr=2e-3), as_counted)


@healthy
def letters_one_hot():
    """One in 200 is not zero, and what follows is learned."""
    follows = torch.randperm(200)
    model = nn.Sequential(nn.Linear(200, 48), nn.ReLU(), nn.Linear(48, 200))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(300):
        now = torch.randint(200, (64,))
        step(optimizer, F.cross_entropy(model(F.one_hot(now, 200).float()), follows[now]))
