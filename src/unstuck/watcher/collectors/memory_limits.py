"""How much memory there is: what the readings of `bytes/<device>` are held against."""

from pathlib import Path

import torch
from torch.optim import Optimizer

from unstuck.watcher.collector import Collector, Watched

_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


class MemoryLimits(Collector):
    """`memory/<device>`: of the machine, or of the container it runs in."""

    def __init__(self, watched: Watched) -> None:
        super().__init__(watched)
        self._known = False

    def before_step(self, name: str, optimizer: Optimizer) -> None:
        if self._known:
            return
        self._known = True
        if limit := machine_memory():
            self.recorder.note({"memory/cpu": limit})
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            device = torch.cuda.current_device()
            total = torch.cuda.get_device_properties(device).total_memory
            self.recorder.note({"memory/cuda": int(total)})


def machine_memory() -> int:
    """Bytes this process may have at most; 0 where nobody tells."""
    found = []
    for file in _LIMITS:
        try:
            found.append(int(Path(file).read_text()))
        except (OSError, ValueError):  # no such limit, or none set: "max"
            continue
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        found += [1024 * int(line.split()[1]) for line in lines if line.startswith("MemTotal:")]
    except (OSError, ValueError, IndexError):
        pass
    return min(found, default=0)
