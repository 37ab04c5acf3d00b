"""SPEC.toml -> a plan and what it runs.

    [trial]
    name = "lower-lr"                        # optional
    train = "project.training:train"         # a function of (recipe, seed) -> {"psnr": 24.1}
    # or: command = "python train.py --lr {lr} --seed {seed}"
    metric = "psnr"                          # from what train returns, from the command's output
                                             # (its last `psnr: 24.1` or JSON line), or watched
    higher_is_better = true                  # optional: guessed from the metric's name
    seeds = 5                                # a count or a list
    margin = 0.2                             # optional: differences this small do not matter
    unit = "dB"                              # optional
    confidence = 0.95                        # optional
    watch = false                            # optional: record and diagnose every run
    finding = "COL004"                       # optional: the code a treatment is to remove
    stop_early = false                       # optional: run every pair, whatever is clear by then
    reseed = true                            # optional: seed a command that has no {seed}
    log = "{out}/log.csv"                    # optional: where a run logs the metric; {out} is a
                                             # folder of its own, and stands in the command too

    [baseline]                               # the recipe: numbers, text, true or false
    lr = 1e-3

    [treatments.low]                         # recipe changes; `remedy`, `expectation` are text
    lr = 1e-4
    expectation = "the loss stops jumping"

    [treatments.free-content]                # a live change of the watched run, quoted
    "weight/loss/content" = "x0.05"

Modules are looked for in the working directory, then beside the spec; a command runs in the
working directory, without a shell; `python` in it is the interpreter unstuck runs in.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unstuck.records import Plan, Treatment
from unstuck.trials.plan import PlanError, live, plain, planned
from unstuck.trials.subject import Subject, check_command, reference
from unstuck.vocabulary import higher_is_better

SECTIONS = ("trial", "baseline", "treatments")
OPTIONS = {"margin", "unit", "confidence", "finding", "name", "higher_is_better", "stop_early"}
KEYS = OPTIONS | {"train", "command", "metric", "seeds", "watch", "reseed", "log"}
RUNS = ("watch", "reseed", "log")  # how its runs are carried out


def read_spec(path: str | Path) -> tuple[Plan, Subject]:
    """The checked plan in a TOML file. Raises PlanError with one clear line."""
    path = Path(path)
    content = _toml(path)
    try:
        return _from(content, path.parent)
    except PlanError as error:
        raise PlanError(f"{path}: {error}") from error


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PlanError(f"{path} does not exist") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PlanError(f"{path} is no readable TOML: {error}") from error


def _from(content: Mapping[str, Any], beside: Path) -> tuple[Plan, Subject]:
    _only_known(content, set(SECTIONS), "the spec")
    trial, baseline, treatments = (content.get(section, {}) for section in SECTIONS)
    for section, value in zip(SECTIONS, (trial, baseline, treatments), strict=True):
        if not isinstance(value, dict):
            raise PlanError(f"{section} must be a table: [{section}]")
    _only_known(trial, KEYS, "[trial]")
    for key in ("metric", "seeds"):
        if key not in trial:
            raise PlanError(f"[trial] lacks '{key}'")
    options = {key: value for key, value in trial.items() if key in OPTIONS}
    options.setdefault("name", "trial")
    options.setdefault("stop_early", True)
    options.setdefault("higher_is_better", higher_is_better(str(trial["metric"])))
    plan = planned(
        trial["metric"],
        baseline,
        [_treatment(name, table) for name, table in treatments.items()],
        _seeds(trial["seeds"]),
        **options,
    )
    return plan, _subject(trial, plan, beside)


def _treatment(name: str, table: Any) -> Treatment:
    if not isinstance(table, dict):
        raise PlanError(f"treatments must be tables of changes: [treatments.{name}]")
    changes = dict(table)
    texts = {key: changes.pop(key, "") for key in ("remedy", "expectation")}
    for key, text in texts.items():
        if not isinstance(text, str):
            raise PlanError(f"{key} of treatment '{name}' must be text")
    for key, value in changes.items():
        if isinstance(value, dict):
            raise PlanError(f"quote the name in treatment '{name}': \"{key}/...\" = ...")
    of = f"treatment '{name}'"
    return Treatment(name, texts["remedy"], plain(changes, of), texts["expectation"])


def _seeds(seeds: Any) -> Any:
    if isinstance(seeds, bool) or not isinstance(seeds, (int, list)):
        raise PlanError(f"seeds must be a list of whole numbers or a count, not {seeds!r}")
    return seeds


def _subject(trial: Mapping[str, Any], plan: Plan, beside: Path) -> Subject:
    train, command = trial.get("train"), trial.get("command")
    watch, reseed, log = (trial.get(key, "" if key == "log" else False) for key in RUNS)
    for key, value in (("watch", watch), ("reseed", reseed)):
        if not isinstance(value, bool):
            raise PlanError(f"{key} must be true or false, not {value!r}")
    if not isinstance(log, str):
        raise PlanError(f"log must be text, not {log!r}")
    if (train is None) == (command is None):
        raise PlanError("[trial] needs either 'train' (module:function) or 'command'")
    if train is not None and (reseed or log):
        key = "reseed" if reseed else "log"
        raise PlanError(f"'{key}' is for commands: a function gets its seed and returns metrics")
    watch = needs_watching(plan, watch) or reseed
    path = tuple(str(p.resolve()) for p in (Path(), beside))
    if isinstance(train, str):
        return Subject(train=reference(train), path=path, watch=watch)
    if isinstance(command, str):
        check_command(command, plan, reseed, log)
        return Subject(command=command, watch=watch, reseed=reseed, log=log)
    raise PlanError("'train' and 'command' must be text")


def needs_watching(plan: Plan, watch: bool) -> bool:
    """Whether the runs are watched: asked for, or needed for a finding or a live change."""
    changed = any(live(t.changes) for t in plan.treatments)
    return watch or bool(plan.finding) or changed or bool(live(plan.baseline))


def _only_known(table: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(table) - known)
    if unknown:
        raise PlanError(
            f"unknown key '{unknown[0]}' in {where} (known: {', '.join(sorted(known))})"
        )
