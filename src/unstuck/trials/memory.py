"""How much memory is free, and how much a run takes; Linux tells both, elsewhere nothing is known.

A run is all processes of one session. What they share (forked workers of a loader) counts once:
`Pss` gives each of them its part.
"""

from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")


def free_bytes() -> int | None:
    """Memory that can still be taken here, by the control group's limit too; None: unknown."""
    fields = _fields(PROC / "meminfo")
    if "MemAvailable" not in fields:
        return None
    return min([fields["MemAvailable"], *_left_in_groups()])


def resident_bytes(sessions: set[int]) -> dict[int, int]:
    """What the processes of each session hold now; at least what its first one held at its most."""
    held = dict.fromkeys(sessions, 0)
    peaks = dict.fromkeys(sessions, 0)
    for folder, session in _processes():
        if session in sessions:
            share = _fields(folder / "smaps_rollup").get("Pss")
            status = _fields(folder / "status")
            held[session] += status.get("VmRSS", 0) if share is None else share
            if int(folder.name) == session:
                peaks[session] = status.get("VmHWM", 0)
    return {session: max(held[session], peaks[session]) for session in sessions}


def _processes() -> Iterator[tuple[Path, int]]:
    """Every process with its session."""
    for folder in PROC.glob("[0-9]*"):
        try:
            after_name = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        yield folder, int(after_name[3])


def _fields(file: Path) -> dict[str, int]:
    """The lines `Name: 123 kB` of a file of the kernel, in bytes."""
    found = {}
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return {}
    for line in lines:
        name, _, value = line.partition(":")
        words = value.split()
        if len(words) == 2 and words[1] == "kB":
            found[name] = int(words[0]) * 1024
    return found


def _left_in_groups() -> list[int]:
    """Room below the limit of the control group of this process and of each one above it."""
    try:
        lines = (PROC / "self/cgroup").read_text().splitlines()
    except OSError:
        return []
    inside = next((line.partition("::/")[2] for line in lines if line.startswith("0::/")), None)
    if inside is None:
        return []
    group = CGROUPS / inside
    return [left for folder in (group, *group.parents) if (left := _left(folder)) is not None]


def _left(group: Path) -> int | None:
    try:
        limit = (group / "memory.max").read_text().strip()
        current = int((group / "memory.current").read_text())
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return None
    if not limit.isdigit():
        return None
    return max(0, int(limit) - current + int(stat.get("inactive_file", 0)))
