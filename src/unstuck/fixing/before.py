"""The script as it is, watched once: what the diagnosis is made from."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

from unstuck import atomic
from unstuck.fixing.script import Script
from unstuck.load import load_all
from unstuck.records import Run
from unstuck.source import UnreadableRunError
from unstuck.watcher import launch

DONE = "ended.json"


@dataclass(frozen=True, slots=True)
class Before:
    """The recorded run, and how the script ended."""

    run: Run
    seconds: float
    status: int = 0


def recorded(script: Script, folder: Path) -> Before:
    """Run the script watched, or read what an earlier call has recorded in `folder`.

    Raises UnreadableRunError where it never trained.
    """
    ended = folder / DONE
    if not ended.exists():
        if folder.exists():  # an interrupted run: keep it aside rather than mix the two
            folder.rename(launch.new_directory(f"{folder.name}-interrupted", folder.parent))
        began = time.monotonic()
        env = launch.environment(folder, name=script.name, recipe=script.recipe)
        status = launch.run(launch.python_command(script.words), env)
        if status == INTERRUPTED:
            raise KeyboardInterrupt(f"stopped in the first run; nothing of it is kept in {folder}")
        told = {"status": status, "seconds": round(time.monotonic() - began, 3)}
        folder.mkdir(parents=True, exist_ok=True)
        atomic.write_text(ended, json.dumps(told) + "\n")
    told = json.loads(ended.read_text(encoding="utf-8"))
    return Before(trained(folder, script.name), float(told["seconds"]), int(told["status"]))


INTERRUPTED = 130  # 128 + SIGINT


def trained(folder: Path, name: str) -> Run:
    """The run in a folder; UnreadableRunError where there is none or it never trained."""
    try:
        run = load_all(folder)[0]
    except UnreadableRunError:
        run = Run({})
    if not any(series.startswith(("loss/", "lr/")) for series in run.series):
        raise UnreadableRunError(
            f"{name} never trained: no backward pass and no optimizer step was seen, so there is "
            f"nothing to fix"
        )
    return run
