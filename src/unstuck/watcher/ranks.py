"""Which of several processes this is, and where it writes. No rank ever asks another one.

Rank 0 writes the run directory, rank k `rank-<k>` in it, each for itself; the reader merges them. A
directory nobody named is named after what the ranks of one machine share: who started them, and
when. Needs no torch.
"""

import os
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unstuck.records import Scalar
from unstuck.sources.unstuck_run import FILE, RANK_FOLDER

VARIABLES = (  # rank and number of ranks, as launchers tell their processes
    ("RANK", "WORLD_SIZE"),  # torchrun, and all that speak as it does
    ("SLURM_PROCID", "SLURM_NTASKS"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
)


@dataclass(frozen=True, slots=True)
class Rank:
    """One of `count` processes that train together."""

    index: int
    count: int

    @property
    def facts(self) -> dict[str, Scalar]:
        return {"ranks/index": self.index, "ranks/count": self.count}


ALONE = Rank(0, 1)


def rank_here(environment: Mapping[str, str] = os.environ) -> Rank:
    """This process among those it trains with: as torch knows it, else as its launcher told it."""
    group = process_group()
    if group is not None:
        return Rank(group.get_rank(), group.get_world_size())
    for index, count in VARIABLES:
        told = environment.get(index, ""), environment.get(count, "")
        if all(text.isdecimal() and len(text) < 9 for text in told):
            return Rank(int(told[0]), max(1, int(told[1])))
    return ALONE


def process_group() -> Any | None:
    """torch.distributed where more than one process has joined it, else None."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return None
    return distributed if distributed.get_world_size() > 1 else None


def backward_talks(models: Iterable[Any]) -> bool:
    """Whether a backward pass through these models talks to other ranks, whoever started it.

    Sharded models gather their parameters in it, and a static graph counts its backward passes; of
    DistributedDataParallel only what is accumulated into `.grad` does.
    """
    for model in models:
        for module in model.modules():
            if type(module).__name__.startswith("FullySharded"):
                return True
            if getattr(module, "static_graph", False) and hasattr(module, "reducer"):
                return True
        if any(hasattr(p, "_local_tensor") for p in model.parameters()):
            return True
    return False


def own_directory(run: Path, rank: Rank) -> Path:
    """Where this rank writes its part of a run."""
    return run / RANK_FOLDER.format(rank.index) if rank.index else run


def shared_directory(name: str, root: Path, rank: Rank) -> Path:
    """A directory for a new run on which all ranks of one machine agree; not made yet.

    Ranks of several machines agree under Slurm; elsewhere they have to be given one.
    """
    job = os.environ.get("SLURM_JOB_ID", "")
    if job.isdecimal():
        stem = f"{name}-{job}.{os.environ.get('SLURM_STEP_ID', '0')[:9]}".replace("/", ".")
    else:
        day = time.strftime("%Y%m%d", time.localtime(_start_of(os.getppid())))
        stem = f"{name}-{day}-{os.getppid()}"
    path, count = root / stem, 1
    while (own_directory(path, rank) / FILE).exists():  # they trained together before
        count += 1
        path = root / f"{stem}-{count}"
    return path


def _start_of(process: int) -> float:
    """When a process was started, in seconds since the epoch; now, where nobody tells."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        boot = next(
            line.split()[1]
            for line in Path("/proc/stat").read_text().splitlines()
            if line.startswith("btime ")
        )
        return int(boot) + int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, StopIteration):
        return time.time()
