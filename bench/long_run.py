"""A run of a million steps: bytes of the record, memory and seconds a step, early and late.

    python bench/long_run.py [--steps 1000000] [--unwatched]

Trains a linear model with a loss of two terms, its gradient clipped; what a step costs in itself is
next to nothing, so that the watcher's own growth would show.
"""

import argparse
import tempfile
import time
from pathlib import Path

import torch

import unstuck


def resident() -> int:
    """Bytes of memory this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def size(directory: Path) -> int:
    return sum(f.stat().st_size for f in directory.rglob("*") if f.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--unwatched", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    x = torch.randn(16, 8)
    y = x[:, :1].sin()
    out = Path(tempfile.mkdtemp()) / "run"
    run = None if options.unwatched else unstuck.watch(out=out)
    began = time.perf_counter()
    for step in range(1, options.steps + 1):
        fit = (model(x) - y).square().mean()
        small = model[0].weight.square().mean()
        loss = fit + 1e-3 * small
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        unstuck.log(val_error=step % 7) if step % 10 == 0 else None
        if step % (options.steps // 10) == 0:
            took = (time.perf_counter() - began) / (options.steps // 10)
            held = f"record {size(out) / 1e6:6.1f} MB" if run else ""
            print(
                f"{step:>8}: {took * 1e6:6.0f} us/step, "
                f"{resident() / 1e6:6.1f} MB resident, {held}",
                flush=True,
            )
            began = time.perf_counter()
    if run is None:
        return
    run.close()
    series = unstuck.load(out).series
    print(f"closed: {size(out) / 1e6:.1f} MB, {sum(map(len, series.values()))} readings:")
    for name in sorted(series, key=lambda n: -len(series[n]))[:4]:
        print(f"  {name}: {len(series[name])} of steps {series[name].step[[0, -1]].tolist()}")


if __name__ == "__main__":
    main()
