"""Sequence to sequence with attention: dates in many spellings become ISO dates.

An encoder turns the letters into states h_1..h_T, a decoder writes y_1, y_2, .. from its own state
s_t. Handing over only h_T squeezes the whole input into one vector. With attention the decoder
looks back at every step: e_ti = v^T tanh(W s_{t-1} + U h_i), a_t = softmax(e_t), c_t = sum_i a_ti
h_i; nobody says where to look. Sutskever, Vinyals, Le, "Sequence to sequence learning" (2014);
Bahdanau, Cho, Bengio, "Neural machine translation by jointly learning to align and translate"
(2015).

Covers: 10A.01 10A.02 10A.03 10A.04 10A.05 C05
Run: unstuck case run course/seq2seq
Expected: exact_dates 0.950 +- 0.036 over 5 seeds (trivial answer 0.0044) in 9 s on one core each:
    python -m unstuck.cases.course seq2seq --seeds 5
"""

import datetime
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from unstuck.cases.course import item, loop
from unstuck.cases.course.item import Fault

METRIC, HIGHER_IS_BETTER, UNIT = "exact_dates", True, ""
MARGIN = 0.7  # over writing the commonest date always
TINY = {"steps": 4, "width": 16, "train": 100}
FORMATS = (
    "{d} {month} {y}", "{weekday}, {d} {month} {y}", "{month} {d}, {y}",
    "{weekday} {month} {d} {y}", "{d}/{m}/{y}", "{d}. {mon} {y}", "{y}, {month} {d}",
    "the {d} of {month}, {y}", "{mon} {d} {y}",
)  # fmt: skip
ALPHABET = "_^ ,./-0123456789abcdefghijklmnopqrstuvwxyz"  # _ fills up, ^ starts the answer
ANSWER = 10  # characters of 2026-11-22


class Recipe(loop.Recipe):
    train: int = Field(8000, ge=1)
    """dates to learn from, of 73,000 days and nine spellings"""
    width: int = Field(48, ge=1)
    """units of either direction of the encoder, and of the decoder: the bottleneck"""
    attention: bool = True
    """look back at all encoder states; without, only the last state is handed over"""
    steps: int = Field(200, ge=1)
    """updates; with twice as many and a wider state one vector suffices, too"""
    lr: float = Field(5e-3, gt=0)
    """learning rate of Adam"""


class AdditiveAttention(nn.Module):
    """Weights over the states h (n, t, a) for a query s (n, b): softmax_i v^T tanh(W s + U h_i)."""

    def __init__(self, query: int, key: int, width: int) -> None:
        super().__init__()
        self.W = nn.Linear(query, width)
        self.U = nn.Linear(key, width, bias=False)
        self.v = nn.Linear(width, 1, bias=False)

    def forward(self, s: Tensor, h: Tensor, filler: Tensor) -> Tensor:
        e = self.v(torch.tanh(self.W(s)[:, None] + self.U(h)))[..., 0]
        return e.masked_fill(filler, -torch.inf).softmax(1)


class Seq2Seq(nn.Module):
    """Sources (n, t) and answers begun (n, 10) -> scores (n, 10, symbols), attention (n, 10, t)."""

    def __init__(self, width: int, attention: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(ALPHABET), width)
        self.encoder = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(2 * width, width)
        self.attention = AdditiveAttention(width, 2 * width, width) if attention else None
        self.decoder = nn.GRUCell(3 * width, width)
        self.output = nn.Linear(width, len(ALPHABET))

    def encode(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """All states (n, t, 2 width); and the last one of both directions (n, 2 width)."""
        lengths = (source != 0).sum(1)
        packed = nn.utils.rnn.pack_padded_sequence(
            self.embedding(source), lengths, batch_first=True, enforce_sorted=False
        )
        h, last = self.encoder(packed)
        h, _ = nn.utils.rnn.pad_packed_sequence(h, batch_first=True, total_length=source.shape[1])
        return h, torch.cat([last[0], last[1]], 1)

    def forward(self, source: Tensor, begun: Tensor | None) -> tuple[Tensor, Tensor]:
        """`begun`: the true answers behind their start sign; None: go on with the own answers."""
        h, last = self.encode(source)
        s, filler = torch.tanh(self.bridge(last)), source == 0
        y = torch.full((len(source),), ALPHABET.index("^"))
        scores, looks = [], []
        for t in range(ANSWER):
            if begun is not None:
                y = begun[:, t]
            a, c = torch.zeros(source.shape), last
            if self.attention is not None:
                a = self.attention(s, h, filler)
                c = (a[:, None] @ h)[:, 0]
            s = self.decoder(torch.cat([self.embedding(y), c], 1), s)
            scores.append(self.output(s))
            looks.append(a)
            y = scores[-1].argmax(1)
        return torch.stack(scores, 1), torch.stack(looks, 1)


FAULTS = {
    "no-attention": Fault(
        {"attention": False},
        "the whole input has to pass through one vector: single characters come out right, whole"
        " dates seldom",
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    sources, answers = dates(r.train, seed, held=False)
    test_sources, test_answers = dates(500, seed, held=True)
    torch.manual_seed(seed)
    model = Seq2Seq(r.width, r.attention)

    def cross_entropy(source: Tensor, answer: Tensor) -> Tensor:
        begun = F.pad(answer[:, :-1], (1, 0), value=ALPHABET.index("^"))
        return F.cross_entropy(model(source, begun)[0].flatten(0, 1), answer.flatten())

    def loss(source: Tensor, answer: Tensor) -> dict[str, Tensor]:
        return {"cross_entropy": cross_entropy(source, answer)}

    def evaluate() -> dict[str, float]:
        right = model(test_sources, None)[0].argmax(2) == test_answers
        return {
            "val_loss": float(cross_entropy(test_sources, test_answers)),
            "exact_dates": float(right.all(1).float().mean()),
            "characters": float(right.float().mean()),
        }

    batches = loop.minibatches((sources, answers), r.batch, seed)
    metrics = loop.fit(r, model, batches, loss, evaluate, clip=1.0)
    if out is not None:
        _draw(out / "picture.png", model, test_sources)
    _, counts = test_answers.unique(dim=0, return_counts=True)
    return metrics | {"baseline": float(counts.max() / len(test_answers))}


def dates(count: int, seed: int, *, held: bool) -> tuple[Tensor, Tensor]:
    """Spellings (count, t), filled up at the end, and their ISO dates (count, 10).

    Every tenth day is `held` out.
    """
    random = np.random.default_rng(seed)
    sources, answers = [], []
    for _ in range(count):
        days = 10 * random.integers(7300) + (0 if held else random.integers(1, 10))
        day = datetime.date(1900, 1, 1) + datetime.timedelta(days=int(days))
        parts = {"d": day.day, "m": day.month, "y": day.year}
        names = {"month": f"{day:%B}", "mon": f"{day:%b}", "weekday": f"{day:%A}"}
        sources.append(FORMATS[random.integers(len(FORMATS))].format(**parts, **names).lower())
        answers.append(day.isoformat())
    longest = max(map(len, sources))
    return encoded([s.ljust(longest, "_") for s in sources]), encoded(answers)


def encoded(texts: list[str]) -> Tensor:
    position = {character: i for i, character in enumerate(ALPHABET)}
    return torch.tensor([[position[character] for character in text] for text in texts])


def decoded(indices: Tensor) -> str:
    return "".join(ALPHABET[i] for i in indices.tolist()).rstrip("_")


def _draw(file: Path, model: Seq2Seq, sources: Tensor) -> None:
    """Where the decoder looked, for the shortest and for the longest spelling of the first six."""
    from matplotlib import pyplot as plt

    with torch.no_grad():
        scores, looks = model(sources[:6], None)
    lengths = (sources[:6] != 0).sum(1)
    figure, axes = plt.subplots(1, 2, figsize=(8, 3))
    for axis, i in zip(axes, (int(lengths.argmin()), int(lengths.argmax())), strict=True):
        source = decoded(sources[i])
        axis.imshow(looks[i, :, : len(source)].numpy(), cmap="gray", vmin=0, vmax=1)
        axis.set_xticks(range(len(source)), list(source), fontsize=7, family="monospace")
        axis.set_yticks(range(ANSWER), list(decoded(scores[i].argmax(1))), fontsize=7)
    figure.tight_layout(pad=0.4)
    figure.savefig(file, dpi=110)
    plt.close(figure)
