"""Image captioning: a convolutional network looks at an emoji, an LSTM says its name.

The picture's features become the LSTM's first state; then every word is predicted from the words
before it: p(name | picture) = prod_t p(w_t | w_<t, picture). In training the decoder reads the true
words (teacher forcing), afterwards its own. Vinyals, Toshev, Bengio, Erhan, "Show and Tell" (2015);
Karpathy, Fei-Fei, "Deep visual-semantic alignments" (2015).

Covers: 9A.05 9A.12 9A.18
Run: unstuck case run course/captioning
Expected: word_f1 0.325 +- 0.020 over 5 seeds (trivial answer 0.132) in 9 s on one core each:
    python -m unstuck.cases.course captioning --seeds 5
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from unstuck.cases.course import item, loop, pictures
from unstuck.cases.course.item import Fault
from unstuck.data import emoji

METRIC, HIGHER_IS_BETTER, UNIT = "word_f1", True, ""
MARGIN = 0.08  # over saying the one word that fits most pictures
TINY = {"steps": 4, "width": 4}
END, START = 0, 1  # of the vocabulary; END also fills up short captions
HELD = 0.2  # share of the emoji


class Recipe(loop.Recipe):
    width: int = Field(24, ge=1)
    """channels of the first convolution; the third has four times as many"""
    state: int = Field(96, ge=1)
    """units of the LSTM"""
    often: int = Field(4, ge=1)
    """words that fewer training names hold are left out: nobody could learn them"""
    dropout: float = Field(0.3, ge=0, lt=1)
    """on the picture's features and on the words read; there are few hundred pictures"""
    steps: int = Field(350, ge=1)
    """updates; the picture-blind twin has converged long before"""
    lr: float = Field(2e-3, gt=0)
    """learning rate of Adam"""
    weight_decay: float = Field(0.05, ge=0)
    """decoupled weight decay (AdamW)"""
    see: bool = True
    """start the decoder from the picture; without, from zero"""


class Captioner(nn.Module):
    """Pictures (n, 3, 32, 32) and words (n, t) -> scores of each next word (n, t, words)."""

    def __init__(self, words: int, r: Recipe) -> None:
        super().__init__()
        w = r.width
        self.see, self.state = r.see, r.state
        self.cnn = nn.Sequential(
            nn.Conv2d(3, w, 3, 2, 1), nn.BatchNorm2d(w), nn.ReLU(),
            nn.Conv2d(w, 2 * w, 3, 2, 1), nn.BatchNorm2d(2 * w), nn.ReLU(),
            nn.Conv2d(2 * w, 4 * w, 3, 2, 1), nn.BatchNorm2d(4 * w), nn.ReLU(),
            nn.Flatten(), nn.Dropout(r.dropout), nn.Linear(64 * w, r.state), nn.Tanh(),
        )  # fmt: skip
        self.embedding = nn.Embedding(words, r.state)
        self.lstm = nn.LSTM(r.state, r.state, batch_first=True)
        self.dropout = nn.Dropout(r.dropout)
        self.output = nn.Linear(r.state, words)

    def start(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.cnn(x) if self.see else torch.zeros(len(x), self.state)
        return h[None], h[None]

    def forward(self, x: Tensor, words: Tensor) -> Tensor:
        h, _ = self.lstm(self.dropout(self.embedding(words)), self.start(x))
        return self.output(self.dropout(h))

    def say(self, x: Tensor, longest: int = 6) -> Tensor:
        """(n, longest) words, each time the likeliest one, fed back."""
        state, word, said = self.start(x), torch.full((len(x), 1), START), []
        for _ in range(longest):
            h, state = self.lstm(self.embedding(word), state)
            scores = self.output(h[:, 0])
            scores[:, START] = -torch.inf
            word = scores.argmax(1, keepdim=True)
            said.append(word)
        return torch.cat(said, 1)


FAULTS = {
    "forgotten-picture": Fault(
        {"see": False},
        "the decoder starts from zero instead of from the picture: the convolutions never get a"
        " gradient, every picture gets the same name",
        ("GRD005",),
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    data = emoji.load(32, sample=r.sample)
    held = int(len(data.names) * HELD)
    counts = Counter(w for title in data.names[held:] for w in set(words_of(title)))
    words = ["", "<start>", *sorted(w for w, count in counts.items() if count >= r.often)]
    captions = [[words.index(w) for w in words_of(title) if w in words] for title in data.names]
    test = [i for i in range(held) if captions[i]]
    learned = [i for i in range(held, len(captions)) if captions[i]]
    x = (data.pictures - 0.75) / 0.33  # mean and standard deviation of the pixels
    y = filled(captions)
    torch.manual_seed(seed)
    model = Captioner(len(words), r)

    def cross_entropy(x: Tensor, y: Tensor) -> Tensor:
        begun = F.pad(y[:, :-1], (1, 0), value=START)
        scores = model(x, begun)
        counted = (begun != END).float()  # the words and one END
        each = F.cross_entropy(scores.flatten(0, 1), y.flatten(), reduction="none")
        return (each * counted.flatten()).sum() / counted.sum()

    def loss(x: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {"cross_entropy": cross_entropy(x, y)}

    def evaluate() -> dict[str, float]:
        said = model.say(x[test])
        f1 = sum(word_f1(s, captions[i]) for s, i in zip(said.tolist(), test, strict=True))
        return {"val_loss": float(cross_entropy(x[test], y[test])), "word_f1": f1 / len(test)}

    batches = loop.minibatches((x[learned], y[learned]), r.batch, seed)
    metrics = loop.fit(r, model, jittered(batches, seed), loss, evaluate, clip=1.0)
    best_word = max(
        sum(word_f1([w], captions[i]) for i in test) / len(test) for w in range(2, len(words))
    )
    if out is not None:
        model.eval()
        said = model.say(x[test[:32]]).tolist()
        titles = [
            " ".join(words[w] for w in s if w)
            + "\n("
            + " ".join(words[w] for w in captions[i])
            + ")"
            for s, i in zip(said, test, strict=False)
        ]
        _draw(out / "picture.png", data.pictures[test[:32]], titles)
    return metrics | {"baseline": best_word, "words": float(len(words) - 2)}


def words_of(title: str) -> list[str]:
    return title.replace(",", " ").split()


def name(words: Sequence[str], indices: Sequence[int]) -> str:
    return " ".join(words[i] for i in indices if i != END)


def filled(captions: Sequence[Sequence[int]]) -> Tensor:
    """(n, longest + 1) words, filled up with END."""
    longest = max(map(len, captions)) + 1
    return torch.tensor([[*c, *[END] * (longest - len(c))] for c in captions])


def word_f1(said: Sequence[int], true: Sequence[int]) -> float:
    """Harmonic mean of precision and recall of the words, their order aside."""
    spoken, wanted = Counter(w for w in said if w != END), Counter(true)
    return 2 * (spoken & wanted).total() / (spoken.total() + wanted.total())


def jittered(batches: Iterator[tuple[Tensor, ...]], seed: int) -> Iterator[tuple[Tensor, ...]]:
    """Pictures moved by up to 2 px; not mirrored, for names say left and right."""
    generator = torch.Generator().manual_seed(seed)
    for x, y in batches:
        dx, dy = torch.randint(-2, 3, (2,), generator=generator).tolist()
        yield x.roll((dy, dx), (2, 3)), y


def _draw(file: Path, shown: Tensor, titles: Sequence[str]) -> None:
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(4, 8, figsize=(8, 5))
    for axis, picture, title in zip(axes.flat, shown, titles, strict=False):
        axis.imshow(picture.permute(1, 2, 0).numpy())
        axis.set_title(title, fontsize=5.5)
        axis.set_axis_off()
    figure.tight_layout(pad=0.4)
    figure.savefig(file, dpi=pictures.DPI)
    plt.close(figure)
