"""One arm run in its own process: python -m unstuck.trials.worker JOB.json

Reads what to run from JOB.json and writes what came of it to the file named there, whole or not
at all: {"metrics": {...}}, {"error": "..."} where the training failed, or {"fatal": "..."} where no
arm could ever run.
"""

import importlib
import importlib.util
import json
import os
import random
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unstuck import atomic

LONGEST_ERROR = 500  # characters
INSIDE = "UNSTUCK_TRIAL_WORKER"


def inside_worker() -> bool:
    """Whether this process is itself a run of a trial."""
    return INSIDE in os.environ


def main(job_file: str) -> None:
    os.environ[INSIDE] = "1"
    job = json.loads(Path(job_file).read_text())
    sys.path[:] = [*job["path"], *(p for p in sys.path if p not in job["path"])]
    atomic.write_text(Path(job["result"]), json.dumps(result_of(job)))


def result_of(job: Mapping[str, Any]) -> dict[str, Any]:
    """Import the function, seed the generators, run it."""
    try:
        train = imported(job["train"])
    except (Exception, SystemExit) as error:  # whatever a user's module raises while it is imported
        traceback.print_exc()
        return {"fatal": f"cannot import {job['train']}: {last_line(error)}"}
    seed_all(job["seed"])
    try:
        metrics = train(job["recipe"], job["seed"])
    except (Exception, SystemExit) as error:  # a crash of an arm is a result
        traceback.print_exc()
        return {"error": last_line(error)}
    if not isinstance(metrics, Mapping):
        kind = type(metrics).__name__
        return {"fatal": f"train must return a mapping of metric names to numbers, not {kind}"}
    return {"metrics": {str(name): str(v) for name, v in numbers(metrics).items()}}


def imported(reference: str) -> Any:
    """The function `reference` names; a script is imported under its own file's name."""
    where, _, name = reference.rpartition(":")
    if not where.endswith(".py"):
        return getattr(importlib.import_module(where), name)
    file = Path(where)
    module_name = file.stem if file.stem not in sys.modules else "trial_subject"
    spec = importlib.util.spec_from_file_location(module_name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    spec.loader.exec_module(module)
    return getattr(module, name)


def seed_all(seed: int) -> None:
    """Seed the generators in use, so that pairs are pairs even where `train` forgets to."""
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed % 2**32)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


def numbers(metrics: Mapping[Any, Any]) -> dict[Any, float]:
    """The entries that are numbers: floats, or arrays and tensors of one element."""
    found = {}
    for name, value in metrics.items():
        if isinstance(value, (str, bytes)):
            continue
        try:
            found[name] = float(value)
        except (TypeError, ValueError, RuntimeError):
            continue
    return found


def last_line(error: BaseException) -> str:
    """The line a traceback ends with."""
    text = traceback.format_exception_only(error)[-1].strip()
    return text.splitlines()[0][:LONGEST_ERROR] if text else type(error).__name__


if __name__ == "__main__":
    main(sys.argv[1])
