"""The ordinary training loop, once: minibatches, an optimizer, terms of a loss, held-out data.

Read it top to bottom; items whose loop is the point write their own.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

import unstuck
from unstuck.cases.course import item

REPORTS = 10  # looks at held-out data during training


class Recipe(item.Recipe):
    """Knobs of the ordinary loop."""

    steps: int = Field(400, ge=1)
    """updates"""
    batch: int = Field(64, ge=1)
    """samples an update"""
    lr: float = Field(1e-3, gt=0)
    """learning rate of Adam"""
    weight_decay: float = Field(0.0, ge=0)
    """decoupled weight decay (AdamW)"""


def minibatches(tensors: tuple[Tensor, ...], batch: int, seed: int) -> Iterator[tuple[Tensor, ...]]:
    """Batches without end: every epoch a fresh permutation from a generator of its own.

    The last, smaller batch of an epoch is left out, unless there is no other.
    """
    order = torch.Generator().manual_seed(seed)
    count = len(tensors[0])
    while True:
        shuffled = torch.randperm(count, generator=order)
        for start in range(0, max(count - batch, 0) + 1, batch):
            chosen = shuffled[start : start + batch]
            yield tuple(t[chosen] for t in tensors)


def fit(
    recipe: Recipe,
    model: nn.Module,
    batches: Iterable[Any],
    loss_terms: Callable[..., Mapping[str, Tensor]],
    evaluate: Callable[[], Mapping[str, float]],
    *,
    optimizer: torch.optim.Optimizer | None = None,
    schedule: torch.optim.lr_scheduler.LRScheduler | None = None,
    clip: float = 0.0,
    after_step: Callable[[int], None] | None = None,
) -> dict[str, float]:
    """Train `model` for `recipe.steps` updates; the last `evaluate()`.

    `loss_terms(*batch)` gives the loss's terms by name, each already times its weight; their sum is
    minimised. `evaluate` runs with the model in eval mode and without gradients. `clip` is the
    largest gradient norm (0: none). `after_step(step)` runs after each update (EMA, projections).
    """
    optimizer = optimizer or torch.optim.AdamW(
        model.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay
    )
    metrics: dict[str, float] = {}
    model.train()
    for step, batch in zip(range(1, recipe.steps + 1), batches, strict=False):
        terms = loss_terms(*batch)
        loss = torch.stack(list(terms.values())).sum()

        optimizer.zero_grad()
        loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        if schedule is not None:
            schedule.step()
        if after_step is not None:
            after_step(step)

        if step % max(1, recipe.steps // REPORTS) == 0 or step == recipe.steps:
            metrics = looked_at(model, evaluate)
            unstuck.log(**metrics)
            said = "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())
            print(f"step {step:5d}  loss {float(loss.detach()):.4f}  {said}", flush=True)
    return metrics


def looked_at(model: nn.Module, evaluate: Callable[[], Mapping[str, float]]) -> dict[str, float]:
    """`evaluate()` in eval mode without gradients, the mode given back."""
    training = model.training
    model.eval()
    with torch.no_grad():
        metrics = dict(evaluate())
    model.train(training)
    return metrics
