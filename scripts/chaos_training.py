"""A small training whose result is one line, and the accidents that can befall it from inside.

    python scripts/chaos_training.py RECORD ACCIDENT STEPS SECONDS_A_STEP SEED

Trains the same weights whatever happens around it, watched where RECORD is a directory and not "-";
prints a digest of weights, optimizer state and random state. `scripts/chaos.py` starts it.
"""

import contextlib
import hashlib
import os
import random
import resource
import sys
import threading
import time
from pathlib import Path

import torch
from torch import nn

LARGEST_FILE = 150_000  # bytes, where the disk is full


class Network(nn.Module):
    """Two layers with dropout; its forward pass fails where it is told to."""

    def __init__(self):
        super().__init__()
        self.hidden, self.drop, self.head = nn.Linear(6, 12), nn.Dropout(0.2), nn.Linear(12, 1)
        self.fails = None

    def forward(self, x):
        hidden = torch.relu(self.hidden(x))
        if self.fails is not None:
            error, self.fails = self.fails, None
            raise error
        return self.head(self.drop(hidden))


def leaping_clock(rng):
    """Wall time goes back, forth and by days; what passes is not told by it any more."""
    real = time.time
    time.time = lambda: real() + rng.choice((0, 0, -5, 3600, -86_400, 400_000))


def no_memory_in_the_watcher(rng):
    """The watcher's own work finds no memory, now and then."""
    from unstuck.watcher import optimizers

    real = optimizers.each_norm

    def sometimes(tensors):
        if rng.random() < 0.3:
            raise MemoryError("no memory for the watcher")
        return real(tensors)

    optimizers.each_norm = sometimes


def full_disk(rng):
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))


def no_terminal(rng):
    """stderr is gone: nobody can be told anything."""
    os.close(2)
    sys.stderr = None


AT_START = {
    "clock leaps": leaping_clock,
    "no memory": no_memory_in_the_watcher,
    "file too large": full_disk,
    "no terminal": no_terminal,
}


def fork(train):
    """A child of the script trains on and ends as a program ends; it is none of the record."""
    child = os.fork()
    if child == 0:
        for _ in range(20):
            train()
        sys.exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def in_the_middle(accident, model, train):
    if accident == "exceptions":
        model.fails = random.choice((ValueError("a bad batch"), MemoryError("a large batch")))
        with contextlib.suppress(ValueError, MemoryError):
            model(torch.zeros(1, 6))
    elif accident == "fork" and random.random() < 0.1:
        fork(train)


def main():
    record, accident, steps, pause, seed = sys.argv[1:]
    torch.set_num_threads(1)
    rng = random.Random(int(seed))
    random.seed(int(seed) + 1)
    if accident in AT_START:
        AT_START[accident](rng)
    if record != "-":
        import unstuck

        unstuck.watch(out=Path(record))
    torch.manual_seed(0)
    model = Network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def train():
        x = torch.randn(16, 6)
        fit = (model(x) - x[:, :1]).square().mean()
        small = model.head.weight.square().mean()
        loss = fit + 0.1 * small
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    for step in range(int(steps)):
        train()
        if step % 7 == 3:
            in_the_middle(accident, model, train)
        if step == 5:
            print("trains", flush=True)
        if float(pause):
            time.sleep(float(pause))
    if accident == "threads":
        threading.Thread(target=time.sleep, args=(0.7,)).start()
    print(digest(model, optimizer), flush=True)
    if accident == "ends badly":
        raise RuntimeError("the script's own error")
    if accident == "ends at once":
        os._exit(3)


def digest(model, optimizer):
    held = [*model.state_dict().values(), torch.get_rng_state()]
    for state in optimizer.state_dict()["state"].values():
        held += [v for v in state.values() if isinstance(v, torch.Tensor)]
    return hashlib.sha256(b"".join(t.numpy().tobytes() for t in held)).hexdigest()


if __name__ == "__main__":
    main()
