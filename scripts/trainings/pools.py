"""Pools of hard digits that are trained on again and again: some get easier, some cannot."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainings import healthy, sick
from trainings.digits import IMAGES, LABELS, TRAIN, perceptron
from trainings.told import tell

HELD = 128


def mislabelled(share: float) -> tuple[Tensor, Tensor]:
    """Training digits and labels, a share of them drawn at random."""
    y = LABELS[:TRAIN].clone()
    wrong = torch.rand(TRAIN) < share
    y[wrong] = torch.randint(0, 10, (int(wrong.sum()),))
    return IMAGES[:TRAIN], y


def mined(
    x: Tensor,
    y: Tensor,
    *,
    hardest: bool = True,
    model: nn.Module | None = None,
    steps: int = 500,
    rate: float = 3e-3,
):
    """Half of each batch is fresh; the rest is of a pool of the hardest so far, or of any."""
    model = model or perceptron()
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    pool, held = torch.randperm(TRAIN)[:HELD], torch.full((HELD,), 2.3)
    for _ in range(steps):
        fresh, old = torch.randint(0, TRAIN, (64,)), torch.randperm(HELD)[:64]
        chosen = torch.cat([fresh, pool[old]])
        errors = F.cross_entropy(model(x[chosen]), y[chosen], reduction="none")
        loss = errors.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found = errors.detach()
        held[old] = found[64:]
        if hardest:
            kept = torch.cat([held, found[:64]]).topk(HELD)
            held, pool = kept.values, torch.cat([pool, fresh])[kept.indices]
        else:
            place = torch.randint(0, HELD, (64,))
            pool[place], held[place] = fresh, found[:64]
        tell("pool", held)


@healthy
def mined_hard_digits():
    mined(IMAGES[:TRAIN], LABELS[:TRAIN])


@healthy
def mined_hard_digits_slowly():
    mined(IMAGES[:TRAIN], LABELS[:TRAIN], rate=3e-4)


@healthy
def replayed_digits_of_which_some_are_mislabelled():
    """Wrong labels do not gather in a pool that is drawn at random."""
    mined(*mislabelled(0.4), hardest=False)


@sick("CTX004")
def mined_mislabelled_digits():
    mined(*mislabelled(0.4))


@sick("CTX004")
def mined_mislabelled_digits_by_a_wide_network():
    mined(*mislabelled(0.5), model=perceptron(128, nn.Tanh), rate=1e-3, steps=400)


@healthy
def mined_hard_digits_by_a_wide_network():
    mined(IMAGES[:TRAIN], LABELS[:TRAIN], model=perceptron(128, nn.Tanh), rate=1e-3, steps=400)
