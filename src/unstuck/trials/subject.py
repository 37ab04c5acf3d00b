"""What a trial runs for each arm and seed: a function other processes can import, or a command."""

import re
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from unstuck.records import Plan, Recipe
from unstuck.trials.plan import PlanError, arms

Train = Callable[[Recipe, int], Mapping[str, float]]
PLACEHOLDER = re.compile(r"\{([A-Za-z_]\w*)(\??)\}")  # {field}, or {field?} that may be missing


@dataclass(frozen=True, slots=True)
class Subject:
    """A function (`train`, as "module:function" or "/path/file.py:function") or a `command`.

    `path` is where the worker looks for modules; `watch` records and diagnoses every run.
    `reseed`: the command has no place for the seed, so the watcher seeds the run (UNSTUCK_SEED).
    `log`: where a run leaves a log that holds the metric; `{out}` in it and in the command is a
    folder of the run's own.
    """

    train: str = ""
    command: str = ""
    path: tuple[str, ...] = ()
    watch: bool = False
    reseed: bool = False
    log: str = ""


def reference(train: Train | str) -> str:
    """How another process finds `train`. Raises PlanError where it cannot.

    >>> reference("project.training:train")
    'project.training:train'
    """
    if isinstance(train, str):
        return _reference_in_text(train)
    name = str(getattr(train, "__qualname__", type(train).__qualname__))
    module = sys.modules.get(getattr(train, "__module__", None) or "")
    if not callable(train) or not name.isidentifier() or getattr(module, name, None) is not train:
        raise PlanError(
            f"train must be a function at the top level of a .py file, so that other processes "
            f"can import it; '{name}' is not: move it there"
        )
    if module is not sys.modules["__main__"]:
        return f"{train.__module__}:{name}"
    if module.__spec__ is not None:  # python -m package.module
        return f"{module.__spec__.name}:{name}"
    file = Path(getattr(module, "__file__", None) or "-")
    if not file.is_file():
        raise PlanError(
            f"'{name}' was written in a notebook or at the prompt, where other processes cannot "
            f"import it: save it in a .py file and import it from there"
        )
    return f"{file.resolve()}:{name}"


def _reference_in_text(train: str) -> str:
    module, _, function = train.rpartition(":")
    if not module or not function.isidentifier():
        raise PlanError(f"train must be written 'module:function', not '{train}'")
    if module.endswith(".py"):
        if not Path(module).is_file():
            raise PlanError(f"train names the file {module}, which does not exist")
        return f"{Path(module).resolve()}:{function}"
    return train


def check_command(command: str, plan: Plan, reseed: bool = False, log: str = "") -> None:
    """Raise PlanError where the command cannot be started or a change would not reach it, and
    where runs at the same time would write into one log.
    """
    words = _words(command)
    if not words or (words[0] != sys.executable and not shutil.which(words[0])):
        raise PlanError(f"the command '{command}' does not start with a program that exists")
    used = {field for field, _ in PLACEHOLDER.findall(command)}
    if "seed" not in used and not reseed:
        raise PlanError("the command needs {seed}: pairs of runs share their seed")
    if log and ("{out}" not in log or "out" not in used):
        raise PlanError(
            f"log '{log}' must lie in {{out}}, the folder of each run, and the command must have "
            f"{{out}} to write there"
        )
    unknown = sorted(used - set(plan.baseline) - {"seed", "out"})
    if unknown:
        raise PlanError(f"the command uses {{{unknown[0]}}}, which the baseline does not have")
    for name, recipe in arms(plan).items():
        for field in recipe:
            changed = recipe[field] != plan.baseline.get(field)
            if changed and "/" not in field and field not in used:
                raise PlanError(f"'{name}' changes '{field}', but the command has no {{{field}}}")


def filled(command: str, recipe: Recipe, seed: int, out: str = "") -> list[str]:
    """The command's words for one run; a value stays one word, `{field?}` without a value is none.
    `python` is this interpreter.

    >>> filled("echo {name} --on={on} {seed}", {"name": "a b", "on": True}, 3)
    ['echo', 'a b', '--on=true', '3']
    """
    values = {"out": out, **recipe, "seed": seed}

    def value(match: re.Match[str]) -> str:
        found = values[match[1]]
        return str(found).lower() if isinstance(found, bool) else str(found)

    found = [(word, PLACEHOLDER.sub(value, word)) for word in _words(command)]
    return [said for word, said in found if said or not word.endswith("?}")]


def _words(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise PlanError(f"the command '{command}' cannot be split into words: {error}") from error
    return [sys.executable, *words[1:]] if words[:1] in (["python"], ["python3"]) else words
