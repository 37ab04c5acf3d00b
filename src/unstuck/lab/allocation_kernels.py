"""What kernels allocate for themselves and give back before they end, counted by torch's profiler.

A convolution copies its input into another layout, its gradient fetches a workspace: nobody outside
the kernel ever meets such storages, and the peak may lie within.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from torch import _C
from torch.autograd import profiler

MARK = "unstuck: one operation"


class Kernels:
    """The scratch memory of each operation run within `operation()`, in order."""

    def __init__(self) -> None:
        self.scratch: list[int] = []
        self.counting = False

    @contextlib.contextmanager
    def counted(self, wanted: bool) -> Iterator[None]:
        """Count until the end; nothing where a profiler runs already, which this would end."""
        self.counting = wanted and not _C._autograd._profiler_enabled()
        if not self.counting:
            yield
            return
        # The old recorder gives its records in order, on the thread itself, and prints nothing.
        _C._autograd._enable_profiler_legacy(_setting())
        try:
            yield
        finally:
            self.counting = False
            self.scratch = [
                size
                for records in _C._autograd._disable_profiler_legacy()
                for size in _scratch_of(records)
            ]

    def operation(self) -> contextlib.AbstractContextManager[Any]:
        """To be entered around one operation."""
        return profiler.record_function(MARK) if self.counting else contextlib.nullcontext()


def _setting() -> Any:
    extra = _C._profiler._ExperimentalConfig()
    kind = _C._profiler.ProfilerState.CPU
    return _C._profiler.ProfilerConfig(kind, False, True, False, False, False, extra)


def _scratch_of(records: list[Any]) -> Iterator[int]:
    """For each marked operation how far its highest moment lay above its end."""
    alive = highest = depth = within = 0
    for record in records:
        kind = record.kind()
        if kind == "memory_alloc":
            alive += record.cpu_memory_usage()
            highest = max(highest, alive)
        elif kind == "push":
            depth += 1
            if record.name() == MARK:
                highest, within = alive, depth
        elif kind == "pop":
            if depth == within:
                yield max(0, highest - alive)
                within = 0
            depth -= 1
