"""Step time watched over step time unwatched, paired in one process.

    python bench/watch_overhead.py [--pairs 7] [--threads 1]

Each pair trains the same loop twice from the same seed, once unwatched and once watched at default
settings, in alternating order; a loop's time is the whole of its steps, the closely watched first
ones included. Prints the median ratio of the pairs with its range, of wall time and of processor
time (all threads; steadier where other programs run beside it).
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import torch
import torch.nn.functional as F
from torch import nn

import unstuck


def mlp():
    """Three layers, 100k parameters, batch 64."""
    model = nn.Sequential(
        nn.Linear(128, 240), nn.ReLU(), nn.Linear(240, 240), nn.ReLU(), nn.Linear(240, 10)
    )
    return model, torch.randn(64, 128), torch.randint(10, (64,)), 1500


def cnn():
    """A VGG-like network of 1.2 M parameters on 32 x 32 pictures, batch 32."""
    layers, width = [], 3
    for out in (64, 128, 256):
        layers += [nn.Conv2d(width, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU()]
        layers += [nn.Conv2d(out, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU()]
        layers += [nn.MaxPool2d(2)]
        width = out
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 10))
    return model, torch.randn(32, 3, 32, 32), torch.randint(10, (32,)), 80


class Transformer(nn.Module):
    def __init__(self, width=160, depth=4, words=256):
        super().__init__()
        self.embed = nn.Embedding(words, width)
        layer = nn.TransformerEncoderLayer(
            width, 4, 4 * width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.head = nn.Linear(width, words)

    def forward(self, x):
        return self.head(self.blocks(self.embed(x))).flatten(0, 1)


def transformer():
    """Four pre-norm layers of width 160 (1.3 M parameters), 16 sequences of 64 tokens."""
    x = torch.randint(256, (16, 64))
    return Transformer(), x, x.flatten(), 120


def seconds(make, watched: bool) -> tuple[float, float]:
    """Wall and processor seconds of a step."""
    torch.manual_seed(0)
    model, x, y, steps = make()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    run = unstuck.watch(out=Path(tempfile.mkdtemp()) / "run") if watched else None
    start, start_cpu = time.perf_counter(), time.process_time()
    for _ in range(steps):
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    took, took_cpu = time.perf_counter() - start, time.process_time() - start_cpu
    if run is not None:
        run.close()
    return took / steps, took_cpu / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", choices=("mlp", "cnn", "transformer"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{'loop':<12} {'step':>10}   wall ratio (range)      processor ratio (range)")
    for make in (mlp, cnn, transformer):
        if options.only and make.__name__ != options.only:
            continue
        seconds(make, False)
        ratios, steps = [], []
        for pair in range(options.pairs):
            order = (False, True) if pair % 2 == 0 else (True, False)
            took = {watched: seconds(make, watched) for watched in order}
            ratios.append([a / b for a, b in zip(took[True], took[False], strict=True)])
            steps.append(took[False][0])
        told = [f"{median(r):.3f} ({min(r):.3f}-{max(r):.3f})" for r in zip(*ratios, strict=True)]
        print(
            f"{make.__name__:<12} {median(steps) * 1e3:8.2f}ms   {'     '.join(told)}", flush=True
        )


if __name__ == "__main__":
    main()
