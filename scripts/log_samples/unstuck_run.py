"""Sample of unstuck's own run directory, into tests/logs/unstuck-run.

    python scripts/log_samples/unstuck_run.py

Needs torch only. A small network learns the sign of a sum, watched.
"""

import shutil
from pathlib import Path

import torch

import unstuck

OUT = Path(__file__).resolve().parents[2] / "tests" / "logs" / "unstuck-run" / "signs"


def main() -> None:
    if OUT.exists():
        shutil.rmtree(OUT)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    with unstuck.watch(out=OUT, name="signs", recipe={"lr": 0.01}):
        for step in range(60):
            x = torch.randn(32, 8)
            wanted = (x.sum(1) > 0).float()
            loss = torch.nn.functional.binary_cross_entropy_with_logits(model(x)[:, 0], wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step % 10 == 9:
                unstuck.log(val_loss=loss.item())


if __name__ == "__main__":
    main()
