"""A mixture of experts: many networks, of which every token is sent to two.

A gate scores E experts; the 2 best are asked and their answers summed by the softmax of their
scores: E times the parameters, 2 times the work. Left alone, the gate sends all tokens to those
that happened to learn first, so a balancing term is added, E sum_e (share of tokens at e) (mean
probability of e), which is 1 at best. Shazeer et al., "Outrageously large neural networks" (2017);
Fedus, Zoph, Shazeer, "Switch Transformers" (2021). Here in a small network that predicts the next
character from the eight before (Bengio et al., "A neural probabilistic language model", 2003).

Covers: 10A.24 9B.07 D06
Run: unstuck case run course/mixture_of_experts
Expected: bits_per_character 2.313 +- 0.015 bits over 5 seeds (trivial answer 4.35) in 4 s on one
    core each: python -m unstuck.cases.course mixture_of_experts --seeds 5
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from unstuck.cases.course import item, loop, pictures
from unstuck.cases.course.data import text
from unstuck.cases.course.item import Fault

METRIC, HIGHER_IS_BETTER, UNIT = "bits_per_character", False, "bits"
MARGIN = 1.8  # over the frequencies of single characters
TINY = {"steps": 3, "width": 8, "experts": 4, "batch": 32}
SYMBOLS, HELD = len(text.ALPHABET), 8000


class Recipe(loop.Recipe):
    experts: int = Field(8, ge=2)
    """networks to choose from"""
    width: int = Field(48, ge=1)
    """numbers of a token; an expert's hidden layer has twice as many"""
    context: int = Field(8, ge=1)
    """characters that are seen"""
    balance: float = Field(0.05, ge=0)
    """weight of the balancing term"""
    steps: int = Field(500, ge=1)
    """updates, less than an epoch"""
    batch: int = Field(256, ge=1)
    """characters predicted an update"""
    lr: float = Field(5e-3, gt=0)
    """learning rate of Adam"""


class MixtureOfExperts(nn.Module):
    """Tokens (n, width) -> (n, width), share of the tokens' choices (E), mean probability (E)."""

    def __init__(self, width: int, experts: int, chosen: int = 2) -> None:
        super().__init__()
        self.chosen = chosen
        self.gate = nn.Linear(width, experts, bias=False)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
            for _ in range(experts)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        scores = self.gate(x)
        best, picked = scores.topk(self.chosen, dim=1)
        weights, y = best.softmax(1), torch.zeros_like(x)
        for index, expert in enumerate(self.experts):
            token, place = (picked == index).nonzero(as_tuple=True)
            y = y.index_add(0, token, weights[token, place, None] * expert(x[token]))
        share = torch.bincount(picked.flatten(), minlength=len(self.experts)) / picked.numel()
        return y, share, scores.softmax(1).mean(0)


class Predictor(nn.Module):
    """The last characters (n, context) -> scores of the next (n, symbols), share, probability."""

    def __init__(self, r: Recipe) -> None:
        super().__init__()
        self.embedding = nn.Embedding(SYMBOLS, 16)
        self.join = nn.Linear(16 * r.context, r.width)
        self.norm = nn.LayerNorm(r.width)
        self.mixture = MixtureOfExperts(r.width, r.experts)
        self.output = nn.Linear(r.width, SYMBOLS)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = F.relu(self.join(self.embedding(x).flatten(1)))
        y, share, probability = self.mixture(self.norm(h))
        return self.output(h + y), share, probability


def balancing(share: Tensor, probability: Tensor) -> Tensor:
    """E sum_e share_e probability_e: 1 if all experts are used alike, E if one does all."""
    return len(share) * (share * probability).sum()


FAULTS = {
    "no-balancing": Fault(
        {"balance": 0.0},
        "the gate favours those that learned first; others are hardly chosen and hardly learn",
        symptom="idlest",
        falls=True,
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    whole = text.encoded(text.load())
    learned, held = whole[:-HELD], whole[-HELD:].unfold(0, r.context + 1, 1)
    torch.manual_seed(seed)
    model = Predictor(r)

    def loss(x: Tensor, y: Tensor) -> dict[str, Tensor]:
        scores, share, probability = model(x)
        terms = {"cross_entropy": F.cross_entropy(scores, y)}
        if r.balance:
            terms["balancing"] = r.balance * balancing(share, probability)
        return terms

    def evaluate() -> dict[str, float]:
        scores, share, _ = model(held[:, :-1])
        nats = float(F.cross_entropy(scores, held[:, -1]))
        return {
            "val_loss": nats,
            "bits_per_character": nats / math.log(2),
            "busiest": float(share.max()),
            "idlest": float(share.min()),
        }

    metrics = loop.fit(r, model, windows(learned, r, seed), loss, evaluate)
    if out is not None:
        _draw(out / "picture.png", model, held)
    counts = torch.bincount(learned, minlength=SYMBOLS) + 1
    unigram = float(-(counts / counts.sum()).log2()[held[:, -1]].mean())
    return metrics | {"baseline": unigram}


def windows(characters: Tensor, r: Recipe, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of `context` characters and the one behind them, from anywhere."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        starts = torch.randint(len(characters) - r.context, (r.batch, 1), generator=generator)
        taken = characters[starts + torch.arange(r.context + 1)]
        yield taken[:, :-1], taken[:, -1]


def _draw(file: Path, model: Predictor, held: Tensor) -> None:
    """How often each expert (row) is chosen after each of the commonest characters (column)."""
    letters = " etahondsirlf,u"
    after = [held[held[:, -2] == text.ALPHABET.index(c), :-1] for c in letters]
    with torch.no_grad():
        shares = torch.stack([model(x)[1] for x in after], 1)
    rows = [[row[None, i : i + 1] for i in range(len(letters))] for row in shares]
    names = [f"expert {k + 1}" for k in range(len(shares))]
    pictures.grid(
        file, rows, titles=[repr(c)[1:-1] for c in letters], row_titles=names, limits=(0, 0.5),
        colours="magma",
    )  # fmt: skip
