"""The memory plan against the counted peak: eight kinds of models, batches up to 8 x the measured.

    python bench/memory_plan.py

Plans each from steps on 8, 16 and 24 samples and counts, with torch's profiler, the allocations of
a real training with 24, 48, 96 and 192, from before the model is built to its third step. Where
there is a GPU, also there, against `torch.cuda.max_memory_allocated`.
"""

import gc
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from unstuck import Subject
from unstuck.lab.allocation import shown
from unstuck.lab.allocation_ways import measured
from unstuck.lab.batch import moved

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "unit"))
from planned_models import MODELS, Made, measured_peak

SIZES = (8, 16, 24)
BATCHES = (24, 48, 96, 192)


def on_gpu(make: Made) -> Made:
    """The same subject on the GPU; the optimizer, which has no state yet, follows its weights."""

    def made(samples: int) -> Subject:
        subject = make(samples)
        for module in (subject.model, *subject.others):
            module.to("cuda")
        subject.batch = moved(subject.batch, "cuda")
        return subject

    return made


def gpu_peak(make: Made, samples: int) -> int:
    """Bytes that torch's allocator had handed out at the peak of the third step."""
    gc.collect()
    before = torch.cuda.memory_allocated()
    subject = on_gpu(make)(samples)
    for _ in range(3):
        torch.cuda.reset_peak_memory_stats()
        subject.optimizer.zero_grad()
        subject.value().backward()
        subject.optimizer.step()
    return torch.cuda.max_memory_allocated() - before


def compared(where: str, make: Callable[[Made], Made], peak: Callable[[Made, int], int]) -> None:
    errors = []
    for name, kind in MODELS.items():
        torch.manual_seed(0)
        began = time.perf_counter()
        plan = measured(make(kind)(SIZES[-1]), SIZES)
        took = time.perf_counter() - began
        cells = []
        for samples in BATCHES:
            counted = peak(kind, samples)
            errors.append(plan.peak(samples) / counted - 1)
            cells.append(
                f"{samples}: {shown(plan.peak(samples))} / {shown(counted)} {errors[-1]:+.2%}"
            )
        print(f"{where} {name:14} {took:.2f} s  {'   '.join(cells)}", flush=True)
    worst = max(map(abs, errors))
    print(f"{where}: {len(errors)} points, largest error {worst:.2%} (bar: 10%)")


def main() -> None:
    torch.set_num_threads(1)
    compared("cpu", lambda make: make, measured_peak)
    if torch.cuda.is_available():
        compared("gpu", on_gpu, gpu_peak)


if __name__ == "__main__":
    main()
