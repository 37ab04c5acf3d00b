"""Step time watched over step time unwatched, paired in one process; other tools side by side.

    python bench/watch_overhead.py [--pairs 7] [--loop mlp ...] [--watcher unstuck ...]

Each pair trains the same loop twice from the same seed, once unwatched and once watched, in
alternating order; a loop's time is the whole of its steps, the closely watched first ones included.
Prints the median ratio of the pairs with its range, of wall time and of processor time (all
threads; steadier where other programs run beside it). `unstuck` is `unstuck.watch()` as it is,
`unstuck-everything` with every measurement. gradsnitch, torchmortem and trainwatch run at their
defaults, as their own first page says, where they are installed (`pip install gradsnitch
torchmortem trainwatch`); what they print goes nowhere.
"""

import argparse
import contextlib
import os
import tempfile
import time
from importlib.util import find_spec
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


@contextlib.contextmanager
def unwatched(model, optimizer):
    yield lambda step, loss: None


@contextlib.contextmanager
def by_unstuck(model, optimizer, **options):
    with unstuck.watch(out=Path(tempfile.mkdtemp()) / "run", **options):
        yield lambda step, loss: None


def by_unstuck_everything(model, optimizer):
    return by_unstuck(model, optimizer, everything=True)


@contextlib.contextmanager
def by_gradsnitch(model, optimizer):
    import gradsnitch

    monitor = gradsnitch.watch(model, optimizer, check_every=50)
    yield lambda step, loss: monitor.log(step, loss.item())


@contextlib.contextmanager
def by_torchmortem(model, optimizer):
    from torchmortem import Autopsy

    with Autopsy(model, optimizer=optimizer) as autopsy:
        yield lambda step, loss: autopsy.step(loss=loss.item())


@contextlib.contextmanager
def by_trainwatch(model, optimizer):
    from trainwatch import Watcher

    watcher = Watcher()
    yield lambda step, loss: watcher.step(loss=loss.item())


LOOPS = {make.__name__: make for make in (mlp, cnn, transformer)}
WATCHERS = {
    "unstuck": by_unstuck,
    "unstuck-everything": by_unstuck_everything,
    "gradsnitch": by_gradsnitch,
    "torchmortem": by_torchmortem,
    "trainwatch": by_trainwatch,
}


def seconds(make, watcher, share: float) -> tuple[float, float]:
    """Wall and processor seconds of a step; gradsnitch asks to be told before the update."""
    torch.manual_seed(0)
    model, x, y, steps = make()
    steps = max(10, round(steps * share))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    before = watcher is by_gradsnitch
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        watcher(model, optimizer) as tell,
    ):
        start, start_cpu = time.perf_counter(), time.process_time()
        for step in range(steps):
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            if before:
                tell(step, loss)
            optimizer.step()
            if not before:
                tell(step, loss)
        took, took_cpu = time.perf_counter() - start, time.process_time() - start_cpu
    return took / steps, took_cpu / steps


def compared(make, watcher, pairs: int, share: float) -> str:
    """One line: the median ratio of the pairs and its range, or why there is none."""
    ratios, steps = [], []
    try:
        for pair in range(pairs):
            order = (unwatched, watcher) if pair % 2 == 0 else (watcher, unwatched)
            took = {who: seconds(make, who, share) for who in order}
            ratios.append([a / b for a, b in zip(took[watcher], took[unwatched], strict=True)])
            steps.append(took[unwatched][0])
    except Exception as error:  # a peer may not run on this torch: that is a result, too
        return f"does not run: {type(error).__name__}: {error}"
    told = [f"{median(r):.3f} ({min(r):.3f}-{max(r):.3f})" for r in zip(*ratios, strict=True)]
    return f"{median(steps) * 1e3:8.2f} ms   {'     '.join(told)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--loop", nargs="*", choices=LOOPS, default=list(LOOPS))
    parser.add_argument("--watcher", nargs="*", choices=WATCHERS, default=list(WATCHERS))
    parser.add_argument("--share", type=float, default=1.0, help="of each loop's steps")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{'loop':<12} {'watcher':<19} {'step':>11}   wall ratio (range)      processor (range)")
    for name in options.loop:
        seconds(LOOPS[name], unwatched, options.share)
        for watcher in options.watcher:
            here = watcher.startswith("unstuck") or find_spec(watcher) is not None
            line = "is not installed"
            if here:
                line = compared(LOOPS[name], WATCHERS[watcher], options.pairs, options.share)
            print(f"{name:<12} {watcher:<19} {line}", flush=True)


if __name__ == "__main__":
    main()
