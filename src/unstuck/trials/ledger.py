"""The files of a trial: plan.json, fixed before the first result, and results.jsonl.

plan.json      the plan and what is run
results.jsonl  one line for each finished run, on the disk before the next one counts
arms/          job, output and recorded run of each arm and seed
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unstuck import atomic
from unstuck.records import Outcome, Plan
from unstuck.trials.plan import PlanError, from_json, to_json
from unstuck.trials.subject import Subject

SCHEMA = 1


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep the folder for this process alone. Raises PlanError where another one has it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PlanError(f"the trial in {folder} is being run by another process") from None
        yield


def begin(folder: Path, plan: Plan, subject: Subject) -> None:
    """Fix the plan on disk; once there is a result, make sure the folder holds this very plan."""
    intent = {
        "schema": SCHEMA,
        "plan": to_json(plan),
        "train": subject.train,
        "command": subject.command,
        "watch": subject.watch,
        "reseed": subject.reseed,
        "log": subject.log,
    }
    file, results = folder / "plan.json", folder / "results.jsonl"
    if not results.exists() or not results.stat().st_size:
        atomic.write_text(file, json.dumps(intent, indent=2) + "\n")
        return
    if not file.exists():
        raise PlanError(f"{folder} holds results without their plan: choose another folder")
    if _normal({"reseed": False, "log": "", **_plan_file(folder)}) != _normal(intent):
        raise PlanError(f"{folder} holds another trial: resume it as planned or choose another out")
    drop_torn_line(results)


def append(folder: Path, outcome: Outcome, kept: bool = False) -> None:
    """Add a finished run, and return when it is on the disk; `kept`: it was done before."""
    line = {
        "arm": outcome.arm,
        "seed": outcome.seed,
        "metrics": {name: _number(value) for name, value in outcome.metrics.items()},
        "codes": outcome.codes,
        "seconds": outcome.seconds,
        "error": outcome.error,
        **({"kept": True} if kept else {}),
    }
    with (folder / "results.jsonl").open("ab") as file:
        file.write(json.dumps(line).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def outcomes(folder: Path, plan: Plan) -> tuple[Outcome, ...]:
    """The finished runs in the plan's order; a last line that was torn while written is none."""
    return in_order(plan, read(folder))


def read(folder: Path) -> tuple[Outcome, ...]:
    """The finished runs in the order they ended. Raises PlanError for a damaged line."""
    file = folder / "results.jsonl"
    lines = file.read_bytes().split(b"\n")[:-1] if file.exists() else []
    found: dict[tuple[int, str], Outcome] = {}
    for number, line in enumerate(lines, start=1):
        try:
            outcome = _outcome(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise PlanError(
                f"line {number} of {file} is damaged: remove it to redo that run"
            ) from error
        found.setdefault((outcome.seed, outcome.arm), outcome)
    return tuple(found.values())


def in_order(plan: Plan, runs: Sequence[Outcome]) -> tuple[Outcome, ...]:
    """Seed by seed, the baseline first. Raises PlanError for a run the plan does not have."""
    names = ["baseline", *(t.name for t in plan.treatments)]
    for run in runs:
        if run.arm not in names or run.seed not in plan.seeds:
            raise PlanError(f"the results hold '{run.arm}' with seed {run.seed}, not in the plan")
    return tuple(sorted(runs, key=lambda r: (plan.seeds.index(r.seed), names.index(r.arm))))


def read_plan(folder: Path) -> Plan:
    """The plan of the trial in `folder`. Raises PlanError."""
    content = _plan_file(folder)
    if content.get("schema") != SCHEMA:
        raise PlanError(f"{folder}/plan.json was written by another version of unstuck")
    return from_json(content["plan"])


def _plan_file(folder: Path) -> dict[str, Any]:
    file = folder / "plan.json"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PlanError(f"{folder} holds no trial: it has no plan.json") from None
    except (OSError, ValueError) as error:
        raise PlanError(f"{file} cannot be read: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("plan"), dict):
        raise PlanError(f"{file} is no plan of a trial")
    return content


def drop_torn_line(file: Path) -> None:
    """Remove a last line that was torn while it was written: the next one begins anew."""
    content = file.read_bytes()
    if content and not content.endswith(b"\n"):
        with file.open("r+b") as results:
            results.truncate(content.rfind(b"\n") + 1)


def _outcome(line: Mapping[str, Any]) -> Outcome:
    return Outcome(
        str(line["arm"]),
        int(line["seed"]),
        {str(name): float(value) for name, value in line["metrics"].items()},
        None if line["codes"] is None else tuple(line["codes"]),
        float(line["seconds"]),
        str(line["error"]),
    )


def _number(value: float) -> float | str:
    """NaN and inf as text: JSON has no word for them."""
    return value if abs(value) < float("inf") else str(value)


def _normal(intent: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(intent, sort_keys=True))
