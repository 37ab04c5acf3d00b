"""A script as a child process that records itself. Needs no torch: the child brings its own."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from unstuck.changes import parsed
from unstuck.records import Scalar
from unstuck.watcher.ranks import rank_here, shared_directory

INJECTED = Path(__file__).parent / "inject"
LONGEST_SEED = 18  # digits
SEED = "UNSTUCK_SEED"  # a number: seeds the run, and shifts the seeds that its script sets
RECORD = "UNSTUCK_RECORD"  # a JSON object for the child: directory, name, recipe, changes ...
LAUNCHERS = (  # programs and modules that train nothing and start the processes that do
    "torchrun",
    "accelerate",
    "deepspeed",
    "torch.distributed.run",
    "torch.distributed.launch",
    "accelerate.commands.launch",
    "accelerate.commands.accelerate_cli",
    "deepspeed.launcher.runner",
    "deepspeed.launcher.launch",
)


def environment(
    directory: Path,
    changes: Mapping[str, Scalar] | None = None,
    name: str = "",
    *,
    recipe: Mapping[str, Scalar] | None = None,
    latents: Sequence[str] = (),
    everything: bool = False,
    budget: float | None = None,
    probe: bool | Sequence[int] = (),
    seed: int | None = None,
) -> dict[str, str]:
    """A copy of this environment in which a Python child records itself into `directory`.

    `seed` (None: `UNSTUCK_SEED`, where it is set) is what watcher/seeding.py makes of it.
    Raises ValueError for a malformed change or seed.
    """
    parsed(changes or {})
    if seed is None and SEED in os.environ:
        seed = seed_of(os.environ[SEED])
    asked = {
        "directory": str(directory.resolve()),
        "name": name or directory.name,
        "changes": dict(changes or {}),
        "recipe": dict(recipe or {}),
        "latents": list(latents),
        "everything": everything,
        "budget": budget,
        "probe": probe if isinstance(probe, bool) else list(probe),
        "launchers": list(LAUNCHERS),
        "seed": seed,
    }
    inherited = {name: value for name, value in os.environ.items() if name != SEED}
    return {**inherited, **injection(json.dumps(asked))}


def seed_of(text: str) -> int:
    """The number of `UNSTUCK_SEED`; ValueError where it is none.

    >>> seed_of("3")
    3
    """
    if not (text.isascii() and text.isdigit() and len(text) <= LONGEST_SEED):
        raise ValueError(f"{SEED}={text[:40]!r}: give a whole number from 0 on")
    return int(text)


def injection(asked: str) -> dict[str, str]:
    """The variables that make a Python child record itself as asked."""
    path = os.pathsep.join(p for p in (str(INJECTED), os.environ.get("PYTHONPATH", "")) if p)
    return {"PYTHONPATH": path, RECORD: asked}


def new_directory(name: str, root: Path | None = None) -> Path:
    """A path for a new run, `runs/<name>-<time>`, or under `UNSTUCK_RUNS`; not made yet.

    One of several ranks gets the one all of them get.
    """
    root = root or Path(os.environ.get("UNSTUCK_RUNS") or "runs")
    rank = rank_here()
    if rank.count > 1:
        return shared_directory(name, root, rank)
    stem = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    path, count = root / stem, 1
    while path.exists():
        count += 1
        path = root / f"{stem}-{count}"
    return path


def recipe_of(arguments: Sequence[str]) -> dict[str, Scalar]:
    """What a command line asks for: `--lr 1e-3 --amp` as `{"lr": 0.001, "amp": True}`."""
    found: dict[str, Scalar] = {}
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or word.lstrip("-") == "" or _number(word) is not None:
            continue
        key, equals, value = word.lstrip("-").partition("=")
        if not equals and rest and (not rest[0].startswith("-") or _number(rest[0]) is not None):
            value = rest.pop(0)
            equals = "="
        number = _number(value)
        found[key] = True if not equals else value if number is None else number
    return found


def _number(text: str) -> float | int | None:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return None


def run(command: Sequence[str], env: Mapping[str, str]) -> int:
    """Run a command to its end with our terminal; its exit status, 128 + n for signal n.

    Ctrl-C reaches the child as it does without us; we wait for it to end in its own way.
    """
    with subprocess.Popen(list(command), env=dict(env)) as child:
        while True:
            try:
                status = child.wait()
                break
            except KeyboardInterrupt:
                continue
    return status if status >= 0 else 128 - status


def python_command(arguments: Sequence[str]) -> list[str]:
    """`train.py --lr 1`, `-m package.train` or `torchrun train.py` under this interpreter."""
    return [sys.executable, str(program_file(arguments[0])), *arguments[1:]]


def program_file(word: str) -> str | Path:
    """A launcher's file beside this interpreter or on the path; any other word is what it says."""
    if word not in LAUNCHERS or Path(word).is_file():
        return word
    beside = Path(sys.executable).parent / word
    return beside if beside.is_file() else shutil.which(word) or word


def name_of(script: Sequence[str]) -> str:
    """What a command line trains: the script or module, of a launcher the one it starts."""
    first = script[1] if script[0] == "-m" else script[0]
    if first in LAUNCHERS:
        started = next((w for w in script[1:] if w.endswith(".py")), "")
        if started:
            return Path(started).stem
    return first.rsplit(".", 1)[-1] if script[0] == "-m" else Path(first).stem
