"""What a recurrent network remembers: the first symbol, asked for many steps later.

In a vanilla cell dh_t/dh_{t-1} = diag(tanh') W_hh, so the gradient of step k is a product of T - k
such matrices and vanishes if their singular values lie below 1. The LSTM's memory only multiplies
by the forget gate, which a bias lets start open. Bengio, Simard, Frasconi, "Learning long-term
dependencies with gradient descent is difficult" (1994); Hochreiter, Schmidhuber, "Long short-term
memory" (1997); Jozefowicz et al. (2015) on the forget gate's bias.

Covers: 9A.05 9A.14 9A.16 9A.17 C03
Run: unstuck case run course/rnn_memory
Expected: recall 1 +- 0 over 5 seeds (trivial answer 0.152) in 5 s on one core each: python -m
    unstuck.cases.course rnn_memory --seeds 5
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from unstuck.cases.course import item, loop, pictures
from unstuck.cases.course.item import Fault

METRIC, HIGHER_IS_BETTER, UNIT = "recall", True, ""
MARGIN = 0.7  # over naming one symbol always
TINY = {"steps": 3, "length": 8, "width": 8}
SYMBOLS = 8


class Recipe(loop.Recipe):
    cell: Literal["vanilla", "lstm", "gru"] = "lstm"
    """the step from one state to the next"""
    length: int = Field(40, ge=2)
    """steps between the symbol and the question"""
    width: int = Field(64, ge=1)
    """units of the state"""
    forget_bias: float = 3.0
    """what the LSTM's forget and the GRU's update gates start at: sigmoid(3)^40 = 0.14 is kept"""
    steps: int = Field(900, ge=1)
    """updates"""
    lr: float = Field(3e-3, gt=0)
    """first learning rate of Adam; half a cosine to zero, for it forgets again at full rate"""


class Memory(nn.Module):
    """Symbols (n, t, symbols) -> scores of the first one (n, symbols), from the last state."""

    def __init__(self, cell: str, width: int, forget_bias: float) -> None:
        super().__init__()
        kinds = {"vanilla": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
        self.recurrence = kinds[cell](SYMBOLS, width, batch_first=True)
        self.head = nn.Linear(width, SYMBOLS)
        if cell != "vanilla":
            with torch.no_grad():  # the second of the gates, the LSTM's f as the GRU's z
                self.recurrence.bias_hh_l0[width : 2 * width] = forget_bias

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.recurrence(x)[0][:, -1])


FAULTS = {
    "vanilla-cell": Fault(
        {"cell": "vanilla"},
        "the gradient of the last step dies on its way back to the first: the loss stays at log 8",
        ("GRD001", "OPT004"),
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    test_x, test_y = next(sequences(500, r.length, 2 * seed + 1))
    torch.manual_seed(seed)
    model = Memory(r.cell, r.width, r.forget_bias)
    first = by_step(model, test_x, test_y)

    def loss(x: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {"cross_entropy": F.cross_entropy(model(x), y)}

    def evaluate() -> dict[str, float]:
        scores = model(test_x)
        return {
            "val_loss": float(F.cross_entropy(scores, test_y)),
            "recall": float((scores.argmax(1) == test_y).float().mean()),
        }

    batches = sequences(r.batch, r.length, 2 * seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=r.lr, weight_decay=r.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, r.steps)
    metrics = loop.fit(
        r, model, batches, loss, evaluate, optimizer=optimizer, schedule=schedule, clip=1.0
    )
    if out is not None:
        lines = {"before training": first, "after": by_step(model, test_x, test_y)}
        for name, cell, bias in (
            ("vanilla cell", "vanilla", 0.0),
            ("gates half open", "lstm", 0.0),
        ):
            torch.manual_seed(seed)
            lines[f"{name}, before"] = by_step(Memory(cell, r.width, bias), test_x, test_y)
        pictures.curves(
            out / "picture.png", lines, x="step", y="gradient of the loss by the input", log_y=True
        )
    majority = float(torch.bincount(test_y).max() / len(test_y))
    return metrics | {"baseline": majority, "first_share": float(first[0] / first[-1])}


def sequences(batch: int, length: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """One-hot random symbols (batch, length, symbols) and the first of each, for ever."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        symbols = torch.randint(SYMBOLS, (batch, length), generator=generator)
        yield F.one_hot(symbols, SYMBOLS).float(), symbols[:, 0]


def by_step(model: Memory, x: Tensor, y: Tensor) -> Tensor:
    """(t,) norm of the loss's gradient by the input of each step."""
    x = x.clone().requires_grad_()
    gradient = torch.autograd.grad(F.cross_entropy(model(x), y), x)[0]
    return gradient.norm(dim=(0, 2)).clamp(min=1e-30)
