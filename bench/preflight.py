"""How long a preflight takes, start of Python included, on models of the sizes people begin with.

python bench/preflight.py [--only NAME ...]

Each function below is a subject: `unstuck preflight bench/preflight.py:digits` does one of them.
"""

import argparse
import subprocess
import sys
import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import unstuck


def digits(rate: float = 1e-3) -> unstuck.Subject:
    """Classify real 8 x 8 digits with two convolutions."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    x = torch.tensor(images, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
    y = torch.tensor(labels)
    data = list(zip(x.split(64), y.split(64), strict=True))[:-1]
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.BatchNorm2d(64), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    return unstuck.Subject(
        model, data[0], F.cross_entropy, optimizer, batches=data[1:20], held_out=data[20:]
    )


def digits_too_fast() -> unstuck.Subject:
    """The same with a learning rate a thousand times as high."""
    return digits(rate=1.0)


class UNet(nn.Module):
    """Two levels; 0.1 M parameters."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.first = self._block(1, width)
        self.second = self._block(width, 2 * width)
        self.deep = self._block(2 * width, 2 * width)
        self.third = self._block(4 * width, width)
        self.last = self._block(2 * width, width)
        self.out = nn.Conv2d(width, 1, 1)

    @staticmethod
    def _block(inputs: int, outputs: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1), nn.GroupNorm(4, outputs), nn.ReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x)
        second = self.second(F.max_pool2d(first, 2))
        deep = F.interpolate(self.deep(F.max_pool2d(second, 2)), scale_factor=2)
        third = F.interpolate(self.third(torch.cat([second, deep], 1)), scale_factor=2)
        out: Tensor = self.out(self.last(torch.cat([first, third], 1)))
        return out


def denoising() -> unstuck.Subject:
    """Remove noise from smooth pictures of 64 x 64 with a small U-net."""
    clean = F.interpolate(torch.rand(96, 1, 8, 8), size=(64, 64), mode="bilinear")
    noisy = clean + 0.1 * torch.randn_like(clean)
    data = list(zip(noisy.split(8), clean.split(8), strict=True))
    model = UNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return unstuck.Subject(
        model, data[0], F.mse_loss, optimizer, batches=data[1:10], held_out=data[10:]
    )


class Reader(nn.Module):
    """A transformer of 0.8 M parameters over 64 characters."""

    def __init__(self, causal: bool, words: int = 64, width: int = 128) -> None:
        super().__init__()
        self.causal = causal
        self.words, self.places = nn.Embedding(words, width), nn.Embedding(64, width)
        layer = nn.TransformerEncoderLayer(width, 4, 4 * width, 0.1, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
        self.scores = nn.Linear(width, words)

    def forward(self, x: Tensor) -> Tensor:
        places = self.places(torch.arange(x.shape[1], device=x.device))
        mask = None
        if self.causal:
            mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], device=x.device)
        read = self.layers(self.words(x) + places, mask=mask, is_causal=self.causal)
        scores: Tensor = self.scores(read)
        return scores


def text(causal: bool = True) -> unstuck.Subject:
    """Predict the next character of a made-up language with a transformer."""
    state = torch.randint(64, (16 * 12, 1))
    text = [state]
    for _ in range(64):
        state = (5 * state + torch.randint(3, state.shape)) % 64
        text.append(state)
    rows = torch.cat(text, 1)
    data = [(r[:, :-1], r[:, 1:]) for r in rows.split(16)]

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(model(batch[0]).flatten(0, 1), batch[1].flatten())

    model = Reader(causal)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
    return unstuck.Subject(model, data[0], loss, optimizer, batches=data[1:10], held_out=data[10:])


def text_without_mask() -> unstuck.Subject:
    """The same with its mask forgotten: every place sees the character it must predict."""
    return text(causal=False)


SUBJECTS = (digits, digits_too_fast, denoising, text, text_without_mask)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time `unstuck preflight`.")
    parser.add_argument("--only", nargs="+", choices=[s.__name__ for s in SUBJECTS])
    only = parser.parse_args().only
    print(f"{'subject':<18} {'seconds':>8}  answer")
    for subject in SUBJECTS:
        if only and subject.__name__ not in only:
            continue
        began = time.monotonic()
        words = [sys.executable, "-m", "unstuck", "preflight", f"{__file__}:{subject.__name__}"]
        done = subprocess.run(words, capture_output=True, text=True)
        took = time.monotonic() - began
        answer = next(
            (line for line in done.stdout.splitlines() if line.startswith(("Go", "No-go", "No a"))),
            f"failed: {done.stderr.strip()[-200:]}",
        )
        print(f"{subject.__name__:<18} {took:8.1f}  {answer}", flush=True)


if __name__ == "__main__":
    main()
