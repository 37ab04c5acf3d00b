"""A million scalars read and diagnosed, against tensorboard's EventAccumulator only reading them.

    PYTHONPATH=src python bench/read_tensorboard.py [--scalars 1000000] [--repeats 5]

Needs a Python with tensorboard. One event file with eight tags is written by tensorboard's own
record writer. Each measurement is a process of its own, the two sides in turn: the seconds from the
path to all readings (unstuck: to the diagnosis), without the imports, and the growth of the
resident set to its peak. Prints every ratio of a pair, their median and range.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

TAGS = (
    "train/loss", "train/loss_reconstruction", "train/loss_kl", "train/accuracy",
    "val/loss", "lr", "grad_norm", "epoch",
)  # fmt: skip


def written(folder: Path, scalars: int) -> Path:
    """A run that converges noisily, as events of one scalar each."""
    import numpy as np
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    random = np.random.default_rng(0)
    steps = scalars // len(TAGS)
    decay = np.exp(-np.arange(steps) / steps * 4) + 0.2
    noise = random.normal(1.0, 0.03, size=(len(TAGS), steps))
    file = folder / "events.out.tfevents.1700000000.host.0"
    with file.open("wb") as out:
        writer = RecordWriter(out)
        writer.write(Event(wall_time=1.7e9, file_version="brain.Event:2").SerializeToString())
        for step in range(steps):
            for i, tag in enumerate(TAGS):
                value = {"lr": 1e-3, "epoch": step * 20 // steps}.get(
                    tag, decay[step] * noise[i, step]
                )
                summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
                event = Event(wall_time=1.7e9 + step / 10, step=step, summary=summary)
                writer.write(event.SerializeToString())
    return folder


def by_unstuck(folder: Path) -> int:
    from unstuck.diagnose import diagnose
    from unstuck.load import load

    diagnosis = diagnose(load(folder))
    return sum(len(series) for series in diagnosis.run.series.values())


def by_tensorboard(folder: Path) -> int:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return sum(len(log.Scalars(tag)) for tag in log.Tags()["scalars"])


def measured(side: str, folder: Path) -> None:
    """Read once to have everything imported (one scalar), then once for the clock."""
    read = by_unstuck if side == "unstuck" else by_tensorboard
    read(folder / "warm")
    before = resident("VmRSS")
    start = time.perf_counter()
    count = read(folder / "full")
    took = time.perf_counter() - start
    print(json.dumps({"seconds": took, "MB": resident("VmHWM") - before, "scalars": count}))


def resident(what: str) -> float:
    """The resident set (VmRSS) or its peak so far (VmHWM) in MB; Linux tells them."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(what)), 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scalars", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--measure", choices=("unstuck", "tensorboard"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measured(options.measure, options.folder)
    elif importlib.util.find_spec("tensorboard") is None:
        print("read_tensorboard needs tensorboard: pip install tensorboard")
    else:
        compared(options.scalars, options.repeats)


def compared(scalars: int, repeats: int) -> None:
    """Both sides in turn; prints every pair, then what they say together."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part, count in (("warm", len(TAGS)), ("full", scalars)):
            (folder / part).mkdir()
            written(folder / part, count)
        size = sum(file.stat().st_size for file in (folder / "full").iterdir())
        print(f"{scalars:,} scalars in {len(TAGS)} tags, {size / 1e6:.0f} MB", flush=True)
        ratios, memory = [], []
        for _ in range(repeats):
            told = {side: in_a_process(side, folder) for side in ("tensorboard", "unstuck")}
            assert told["unstuck"]["scalars"] == told["tensorboard"]["scalars"], told
            ratios.append(told["tensorboard"]["seconds"] / told["unstuck"]["seconds"])
            memory.append(told["unstuck"]["MB"])
            seconds = "   ".join(f"{side} {it['seconds']:6.2f} s" for side, it in told.items())
            print(f"{seconds}   ratio {ratios[-1]:5.1f}   memory {memory[-1]:.0f} MB", flush=True)
    print(
        f"read and diagnosed {median(ratios):.1f} times as fast ({min(ratios):.1f}-"
        f"{max(ratios):.1f}) as tensorboard reads; memory grew by {max(memory):.0f} MB at most"
    )


def in_a_process(side: str, folder: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure", side, "--folder", str(folder)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    main()
