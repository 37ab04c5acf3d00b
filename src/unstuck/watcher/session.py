"""Who is being watched: `watch` for a loop you write, `start_in_child` for `unstuck run`."""

import atexit
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn
from torch.optim import Optimizer

from unstuck.examine import chosen, examined
from unstuck.experiment import Examination
from unstuck.lab.subject import Subject
from unstuck.records import Scalar
from unstuck.watcher.attach import Watcher
from unstuck.watcher.budget import SHARE
from unstuck.watcher.launch import SEED, new_directory, seed_of
from unstuck.watcher.probing import SECONDS, USUAL
from unstuck.watcher.ranks import own_directory, rank_here
from unstuck.watcher.seeding import Seeding
from unstuck.watcher.spawned import discard, follow_spawned, is_untouched, when_joined

_active: Watcher | None = None


def watch(
    models: nn.Module | Mapping[str, nn.Module] | None = None,
    optimizers: Optimizer | Mapping[str, Optimizer] | None = None,
    *,
    out: str | Path | None = None,
    name: str = "",
    recipe: Mapping[str, Scalar] | None = None,
    latents: Sequence[str] = (),
    changes: Mapping[str, Scalar] | None = None,
    everything: bool = False,
    budget: float | None = SHARE,
    probe: bool | Sequence[int] = (),
    probe_seconds: float = SECONDS,
) -> Watcher:
    """Record a training loop: `with unstuck.watch(model, optimizer) as run: ...`.

    `models` and `optimizers` may be dicts that name them; what is left out is found by itself.
    `out` is the run directory (default `runs/<name>-<time>`, or under `UNSTUCK_RUNS`); `latents`
    names modules whose outputs are codes; `changes` are live changes (unstuck.Treatment);
    `everything` also takes the measurements that cost more; `budget` is the share of the time that
    looking closely may take, None for a schedule that depends on the step alone; `probe` are steps
    at which the cheap probes run on the live model (True: the usual ones), for `probe_seconds`
    each.
    Without `with`, call `close()` at the end. Under `unstuck run` this joins that recording.

    Raises RuntimeError when another recording is under way, FileExistsError when `out` already
    holds a run, ValueError for a malformed change or budget.
    """
    global _active
    named_models = {"model": models} if isinstance(models, nn.Module) else dict(models or {})
    if isinstance(optimizers, Optimizer):
        optimizers = {"optimizer": optimizers}
    if _active is not None and _active.joinable:
        _active.add(named_models)
        return _active
    if _active is not None and _active.attached:
        raise RuntimeError("a run is being watched already; close it before watching another")
    script = Path(sys.argv[0] or "python").stem or "python"
    rank = rank_here()
    directory = Path(out) if out is not None else new_directory(name or script)
    _active = Watcher(
        own_directory(directory, rank),
        name=name or script,
        recipe=recipe or {},
        models=named_models,
        optimizers=optimizers or {},
        latents=tuple(latents),
        changes=changes or {},
        everything=everything,
        budget=budget,
        probe=_steps(probe),
        probe_seconds=probe_seconds,
    )
    _active.note(rank.facts if rank.count > 1 else {})
    _active.attach()
    return _active


def watched_now() -> Watcher | None:
    """The run that is being watched, if there is one."""
    return _active if _active is not None and _active.attached else None


def log(**metrics: float) -> None:
    """Record metrics of the running step, `val_loss=...` for the validation split.

    Does nothing where no run is being watched, so that it can stay in a script.
    """
    if run := watched_now():
        run.log(**metrics)


def note(facts: Mapping[str, Scalar]) -> None:
    """Record what is known once (a probe's result, a setting). Nothing happens unwatched."""
    if run := watched_now():
        run.note(facts)


def probe(
    model: nn.Module,
    batch: Any,
    loss: Callable[..., Any],
    optimizer: Optimizer | None = None,
    *,
    only: Sequence[str] = (),
    seconds: float = float("inf"),
    **more: Any,
) -> Examination:
    """Experiment on a live model and put everything back, bitwise.

    `loss(model, batch)` gives a scalar or a mapping of named terms; a loss of (prediction, target)
    goes with `batch = (inputs, target)`. `only` names probes (default: all), `seconds` bounds the
    time, `more` are further fields of unstuck.Subject. Where a run is being watched, the facts are
    recorded in it. ValueError for an unknown probe, TypeError for what cannot be a model, a batch
    or a loss.
    """
    subject = Subject(model, batch, loss, optimizer, **more)
    began = time.monotonic()
    found = examined(subject, chosen(only), seconds=seconds)
    note(found.facts)
    if run := watched_now():
        run.leave_out(time.monotonic() - began)
    return found


def start_in_child(asked: str) -> None:
    """Attach as `unstuck run` asked for; called when a watched script has imported torch.

    A process that a watched script has spawned is one that trains if it joins a process group.
    """
    wanted = json.loads(asked)
    _seed(wanted)
    if wanted.get("spawned"):
        when_joined(lambda: _start(wanted))
        return
    _start(wanted)
    follow_spawned(json.dumps(wanted | {"spawned": True}), _give_way)


def _seed(wanted: dict[str, Any]) -> None:
    """Seed this process as asked: by the request, or by the variable, set for this run alone."""
    text = os.environ.pop(SEED, None)
    try:
        if text is not None:
            wanted["seed"] = seed_of(text)
    except ValueError as error:
        print(f"unstuck: {error}; the script seeds itself", file=sys.stderr)
    if wanted.get("seed") is not None:
        seeding = Seeding(wanted["seed"])
        seeding.start()
        atexit.register(seeding.stop)


def _start(wanted: Mapping[str, Any]) -> None:
    global _active
    try:
        rank = rank_here()
        _active = Watcher(
            own_directory(Path(wanted["directory"]), rank),
            name=wanted["name"],
            recipe={"command": " ".join(sys.argv)} | wanted["recipe"],
            models={},
            optimizers={},
            latents=tuple(wanted["latents"]),
            changes=wanted["changes"],
            everything=wanted.get("everything", False),
            budget=wanted.get("budget", SHARE),
            probe=_steps(wanted.get("probe", ())),
        )
        _active.note(rank.facts if rank.count > 1 else {})
        if wanted.get("seed") is not None:
            _active.note({"seed/shifted": wanted["seed"]})
        _active.joinable = True
        _active.attach()
    except Exception as error:  # whatever it is, the script must run
        print(f"unstuck: cannot record ({error}); the script runs unwatched", file=sys.stderr)
        return
    atexit.register(_finish, os.getpid())


def _steps(probe: bool | Sequence[int]) -> tuple[int, ...]:
    if isinstance(probe, bool):
        return USUAL if probe else ()
    if not all(isinstance(step, int) and step >= 0 for step in probe):
        raise ValueError(f"probe={probe!r}: give steps, such as (1, 200)")
    return tuple(probe)


def _give_way() -> bool:
    """Leave the run directory to the processes about to be spawned, if nothing was trained here."""
    global _active
    if _active is None:
        return True
    if not _active.joinable or not is_untouched(_active.path):
        return False
    _active.close()
    discard(_active.path)
    _active = None
    return True


def _finish(process: int) -> None:
    """The script has ended: say how, and close the record."""
    if _active is None or os.getpid() != process:
        return
    error = getattr(sys, "last_value", None)
    if error is not None:
        _active.note({"exit/exception": f"{type(error).__name__}: {error}"[:1000]})
    _active.close()
