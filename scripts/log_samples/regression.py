"""A logistic regression on random numbers, small enough to log with every tool."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Reading:
    step: int
    loss: float
    val_loss: float
    accuracy: float
    lr: float


def training(steps: int, seed: int = 0, lr: float = 0.5, features: int = 8) -> Iterator[Reading]:
    """Gradient descent in batches of 16; the rate falls linearly to zero."""
    random = np.random.default_rng(seed)
    truth, weight = random.normal(size=features), np.zeros(features)
    x, held = random.normal(size=(256, features)), random.normal(size=(128, features))
    for step in range(steps):
        rate = lr * (1 - step / steps)
        batch = x[random.integers(256, size=16)]
        error = 1 / (1 + np.exp(-batch @ weight)) - (batch @ truth > 0)
        weight -= rate * batch.T @ error / 16
        losses = [
            float(np.mean(np.log1p(np.exp(-np.where(part @ truth > 0, 1, -1) * (part @ weight)))))
            for part in (batch, held)
        ]
        right = float(np.mean((held @ weight > 0) == (held @ truth > 0)))
        yield Reading(step, losses[0], losses[1], right, rate)
