"""Numbers read out of tensors while training: each makes the processor wait for the device."""

import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from unstuck.watcher.collector import Collector, Watched

STRETCH = 1e-3  # seconds; readouts closer than this are one piece of work, with what lies between
MOST = 2000  # readouts of one step that are looked at
_TORCH = str(Path(torch.__file__).parent)
_HERE = str(Path(__file__).parents[1])


class Readouts(Collector):
    """`readouts/<device>`: how many a step; `seconds/readouts`: how long the rows of them take.

    Those that torch makes for itself are left out. A step is counted from the end of the last one,
    so that what is printed between two steps is in it.
    """

    functions = (
        "torch.Tensor.item",
        "torch.Tensor.tolist",
        "torch.Tensor.cpu",
        "torch.Tensor.numpy",
        "torch.Tensor.nonzero",
        "torch.Tensor.__bool__",
        "torch.Tensor.__float__",
        "torch.Tensor.__int__",
        "torch.Tensor.__repr__",
        "torch.Tensor.__format__",
    )

    def __init__(self, watched: Watched) -> None:
        super().__init__(watched)
        self._counts: dict[str, int] = {}
        self._seconds = 0.0
        self._last = 0.0
        self._step = -1

    def called(self, function: str, args: tuple[Any, ...], options: Any, result: Any) -> None:
        now = time.perf_counter()
        tensor = args[0] if args else None
        if not isinstance(tensor, Tensor) or sum(self._counts.values()) >= MOST or _of_torch():
            return
        device = tensor.device.type
        if device != "cpu" or function not in ("cpu", "numpy"):  # which copy nothing there
            self._counts[device] = self._counts.get(device, 0) + 1
            if now - self._last < STRETCH:
                self._seconds += now - self._last
        self._last = time.perf_counter()  # what looking costs is not the script's

    def after_step(self, name: str, optimizer: Optimizer) -> None:
        step = self.recorder.clock.step
        if step != self._step and step > 0:
            named = {f"readouts/{device}": float(n) for device, n in self._counts.items()}
            found = {"readouts/cpu": 0.0, **named, "seconds/readouts": self._seconds}
            self.recorder.numbers(found)
        self._step = step
        self._counts, self._seconds, self._last = {}, 0.0, 0.0


def _of_torch() -> bool:
    """Whether torch itself makes the call."""
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    return frame.f_code.co_filename.startswith(_TORCH)
