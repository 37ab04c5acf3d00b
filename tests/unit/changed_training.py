"""A script, the same script with a change written into it, and the first one run with that change.

A script is plain text that appends the loss of every step to a list called `losses`. It is run
three ways, and the losses of the last two are to be the same:

    plain    as it is
    written  with the change written into it (pairs of text: what stands there, what is to stand)
    watched  as it is, under `unstuck.watch(changes=...)`, or as a child of `unstuck run` (child)
"""

import json
import math
import runpy
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import unstuck
from unstuck.changes import fact_of
from unstuck.records import Run, Scalar
from unstuck.watcher.launch import environment

CLOSE = 1e-6  # of losses of the order of one
TAIL = """
import json as _json, sys as _sys
with open(_sys.argv[1], "w") as _file:
    _json.dump([float(loss).hex() for loss in losses], _file)
"""


@dataclass(frozen=True)
class Changed:
    """The losses of the three, step by step, and what was recorded of the watched one."""

    plain: list[float]
    written: list[float]
    watched: list[float]
    run: Run

    @property
    def apart(self) -> float:
        """The largest distance between the loss as written and as watched; NaN equals NaN."""
        assert len(self.written) == len(self.watched) > 0
        pairs = zip(self.written, self.watched, strict=True)
        return max(0.0 if same(a, b) else abs(a - b) for a, b in pairs)

    @property
    def moved(self) -> float:
        """How far the change has moved the loss at most: what a change that does nothing lacks."""
        count = min(len(self.plain), len(self.written))
        pairs = zip(self.plain[:count], self.written[:count], strict=True)
        return max(0.0 if same(a, b) else abs(a - b) for a, b in pairs)

    def acted(self, *names: str) -> bool:
        return all(self.run.facts.get(fact_of(name)) == 1 for name in names)


def same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


def changed(
    folder: Path,
    script: str,
    edits: Sequence[tuple[str, str]],
    changes: Mapping[str, Scalar],
    *,
    child: bool = False,
) -> Changed:
    """Run the script three ways. Every edit must find its text."""
    written = textwrap.dedent(script)
    for old, new in edits:
        assert old in written, f"the script has no {old!r}"
        written = written.replace(old, new)
    plain = _losses(_file(folder, "plain", textwrap.dedent(script)))
    with_edits = _losses(_file(folder, "written", written))
    watched, run = watched_losses(folder, script, changes, child=child)
    return Changed(plain, with_edits, watched, run)


def watched_losses(
    folder: Path, script: str, changes: Mapping[str, Scalar], *, child: bool = False
) -> tuple[list[float], Run]:
    """The losses of the unmodified script with live changes, and what was recorded."""
    script_file = _file(folder, "watched", textwrap.dedent(script))
    record = folder / f"{script_file.stem}.run"
    if child:
        losses = _losses_of_child(script_file, environment(record, changes))
    else:
        with unstuck.watch(out=record, changes=changes, budget=None):
            losses = _losses(script_file)
    run = unstuck.load(record)
    assert isinstance(run, Run)
    return losses, run


def _file(folder: Path, name: str, text: str) -> Path:
    """A new file each time: what is read of a source file is remembered by its name."""
    count = len(list(folder.glob("*.py")))
    script = folder / f"{name}_{count}.py"
    script.write_text(text + TAIL)
    return script


def _losses(script: Path) -> list[float]:
    out, before = script.with_suffix(".json"), sys.argv
    sys.argv = [str(script), str(out)]
    try:
        runpy.run_path(str(script), run_name="__main__")
    finally:
        sys.argv = before
    return _read(out)


def _losses_of_child(script: Path, env: Mapping[str, str]) -> list[float]:
    out = script.with_suffix(".json")
    command = [sys.executable, str(script), str(out)]
    done = subprocess.run(command, env=dict(env), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return _read(out)


def _read(out: Path) -> list[float]:
    return [float.fromhex(text) for text in json.loads(out.read_text())]
