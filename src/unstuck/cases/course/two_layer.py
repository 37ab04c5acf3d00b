"""A two-layer network in NumPy whose backward pass is written by hand and checked numerically.

Scores W2 max(0, W1 x + b1) + b2. Backward goes through the graph from dL/ds = P - onehot(y), gate
by gate: a sum copies the upstream gradient, a product multiplies it by the other input, a maximum
lets it through where it was won. The check is the centred difference
(L(w + h) - L(w - h)) / 2h, whose error is O(h^2); the one-sided form's is O(h). Rumelhart, Hinton
and Williams, "Learning representations by back-propagating errors" (1986).

Covers: 3.04 3.10 3.11 3.12 4.01 4.02 4.06 4.07 4.08 4.09 4.10 4.11 6.01 8.12 A14 A15 B01 B20
Run: unstuck case run course/two_layer
Expected: test_accuracy 0.8314 +- 0.0062 over 5 seeds (trivial answer 0.105) in 1 s on one core
    each: python -m unstuck.cases.course two_layer --seeds 5
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

import unstuck
from unstuck.cases.course import item, loop, pictures
from unstuck.cases.course.data import fashion
from unstuck.cases.course.item import Fault

METRIC, HIGHER_IS_BETTER, UNIT = "test_accuracy", True, ""
MARGIN = 0.65  # over naming one class always
TINY = {"steps": 20, "train": 200, "hidden": 8}
SIDE = 14  # px: every 2 x 2 pixels averaged, so that NumPy is quick on one core


class Recipe(item.Recipe):
    train: int = Field(8000, ge=1)
    """pictures to learn from"""
    steps: int = Field(1500, ge=1)
    """updates: six epochs"""
    batch: int = Field(32, ge=1)
    """samples an update"""
    lr: float = Field(0.05, gt=0)
    """learning rate of plain SGD; at 1 the loss jumps"""
    hidden: int = Field(32, ge=1)
    """units of the hidden layer"""
    mask: bool = True
    """let the gradient pass the ReLU only where its input was positive"""


class TwoLayer:
    """Weights W1 (d, h), W2 (h, c) and biases; gradients from `backward` under the same names."""

    def __init__(
        self, inputs: int, hidden: int, classes: int, random: np.random.Generator, mask: bool = True
    ) -> None:
        self.mask = mask
        self.weights = {
            "W1": random.normal(0, np.sqrt(2 / inputs), (inputs, hidden)),
            "b1": np.zeros(hidden),
            "W2": random.normal(0, np.sqrt(2 / hidden), (hidden, classes)),
            "b2": np.zeros(classes),
        }

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scores (n, c) and the hidden layer before its ReLU (n, h)."""
        w = self.weights
        before = x @ w["W1"] + w["b1"]
        return np.maximum(before, 0) @ w["W2"] + w["b2"], before

    def loss(self, x: np.ndarray, y: np.ndarray) -> float:
        scores, _ = self.forward(x)
        return float(-_log_softmax(scores)[np.arange(len(y)), y].mean())

    def backward(self, x: np.ndarray, y: np.ndarray) -> tuple[float, dict[str, np.ndarray]]:
        """The loss and its gradient; no Jacobian is ever built."""
        scores, before = self.forward(x)
        log_p = _log_softmax(scores)
        d_scores = np.exp(log_p)
        d_scores[np.arange(len(y)), y] -= 1
        d_scores /= len(y)
        d_hidden = d_scores @ self.weights["W2"].T
        d_before = d_hidden * (before > 0) if self.mask else d_hidden
        gradients = {
            "W2": np.maximum(before, 0).T @ d_scores,
            "b2": d_scores.sum(0),
            "W1": x.T @ d_before,
            "b1": d_before.sum(0),
        }
        return float(-log_p[np.arange(len(y)), y].mean()), gradients


def gradient_error(
    network: TwoLayer, x: np.ndarray, y: np.ndarray, h: float = 1e-5, *, centred: bool = True
) -> float:
    """Largest relative difference between `backward` and finite differences, by parameter.

    Twenty entries a parameter; |a - n| / (|a| + |n|) over their norms. The one-sided form is
    (L(w + h) - L(w)) / h.
    """
    _, analytic = network.backward(x, y)
    random = np.random.default_rng(0)
    errors = []
    for name, w in network.weights.items():
        flat, chosen = w.reshape(-1), random.permutation(w.size)[:20]  # a view
        numeric = np.empty(len(chosen))
        for i, position in enumerate(chosen):
            kept = flat[position]
            flat[position] = kept + h
            above = network.loss(x, y)
            flat[position] = kept - h if centred else kept
            numeric[i] = (above - network.loss(x, y)) / (2 * h if centred else h)
            flat[position] = kept
        found = analytic[name].reshape(-1)[chosen]
        scale = float(np.linalg.norm(found) + np.linalg.norm(numeric))
        errors.append(float(np.linalg.norm(found - numeric) / max(scale, 1e-12)))
    return max(errors)


def _pixels(x: Tensor) -> np.ndarray:
    """Flat pictures of SIDE px, normalised, (n, SIDE^2) in double precision."""
    small = F.avg_pool2d(x, 28 // SIDE).flatten(1).numpy().astype(np.float64)
    return (small - fashion.MEAN) / fashion.STD


def _log_softmax(scores: np.ndarray) -> np.ndarray:
    shifted = scores - scores.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


FAULTS = {
    "missing-mask": Fault(
        {"mask": False},
        "the ReLU's gate is forgotten in backward: the loss still falls, the gradient check fails",
        symptom="gradient_error",
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    data = fashion.load(r.train, sample=r.sample)
    train_x, test_x = _pixels(data.train_x), _pixels(data.test_x)
    train_y, test_y = data.train_y.numpy(), data.test_y.numpy()
    random = np.random.default_rng(seed)
    network = TwoLayer(SIDE**2, r.hidden, len(fashion.NAMES), random, r.mask)
    first = network.loss(train_x, train_y)
    error = gradient_error(network, train_x[:50], train_y[:50])
    print(f"gradient check: relative error {error:.1e}", flush=True)

    def looked_at() -> tuple[float, float]:
        scores, _ = network.forward(test_x)
        return network.loss(test_x, test_y), float((scores.argmax(1) == test_y).mean())

    for step in range(1, r.steps + 1):
        chosen = random.integers(0, len(train_x), r.batch)
        loss, gradients = network.backward(train_x[chosen], train_y[chosen])
        for name, gradient in gradients.items():
            network.weights[name] -= r.lr * gradient
        unstuck.log(train_loss=loss)
        if step % max(1, r.steps // loop.REPORTS) == 0:
            val_loss, accuracy = looked_at()
            unstuck.log(val_loss=val_loss)
            print(f"step {step:5d}  loss {loss:.4f}  val_loss {val_loss:.4f}", flush=True)
    val_loss, accuracy = looked_at()
    if out is not None:
        widths = np.logspace(-9, -1, 17)
        x, y = train_x[:50], train_y[:50]
        lines = {
            name: (widths, [gradient_error(network, x, y, h, centred=centred) for h in widths])
            for name, centred in (("centred", True), ("one-sided", False))
        }
        pictures.curves(
            out / "picture.png", lines, x="h", y="relative error", log_x=True, log_y=True
        )
    return {
        "test_accuracy": accuracy,
        "baseline": float((test_y == np.bincount(train_y).argmax()).mean()),
        "val_loss": val_loss,
        "first_loss": first,
        "gradient_error": error,
    }
