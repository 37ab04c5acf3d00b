"""From a sick case to a proven cure: watch it, diagnose it, try its treatments, report.

A case is found in `unstuck.cases` by its folder, an item of a case that holds many (`course/cnn`)
by its file; nothing here knows any of them by name.
"""

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from unstuck import cases
from unstuck.diagnose import diagnose
from unstuck.load import load_all
from unstuck.records import Diagnosis, Recipe, Run, Treatment, Trial
from unstuck.report import html, story, terminal
from unstuck.report.pictures import Pictures
from unstuck.source import UnreadableRunError
from unstuck.watcher import launch

PICTURE_ROWS = 4


class UnknownCaseError(ValueError):
    """There is no case of that name."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of a case: the diagnosis, the trial, the diagnosis after the best treatment."""

    before: Diagnosis
    trial: Trial | None
    after: Diagnosis | None
    report: Path


def names() -> dict[str, str]:
    """Every case with the first line of what it is about."""
    found = {}
    for module in iter_modules(cases.__path__):
        text = import_module(f"{cases.__name__}.{module.name}").__doc__ or ""
        found[module.name] = text.strip().splitlines()[0] if text.strip() else ""
    return found


def part(case: str, name: str) -> ModuleType:
    """A module of a case, such as its `faults`; UnknownCaseError where there is no such case."""
    if case.partition("/")[0] in names() and "/" in case:
        raise UnknownCaseError(f"{case} is an item of a case: it can be run, and nothing else")
    if case not in names():
        known = ", ".join(names())
        raise UnknownCaseError(f"there is no case {case!r}; there are: {known}")
    module = f"{cases.__name__}.{case}.{name}"
    try:
        return import_module(module)
    except ImportError as error:
        if error.name == module:
            raise UnknownCaseError(f"case {case} has no {name}, which this needs") from None
        raise UnknownCaseError(
            f"case {case} cannot be used ({error}); install `pip install 'unstuck[cases]'`"
        ) from None


def has(case: str, name: str) -> bool:
    """Whether a case has a module of that name."""
    return (Path(cases.__path__[0]) / case / f"{name}.py").is_file()


# what every case may have, and commands of their own run
COMMON = ("item", "train", "evaluate", "search", "diagnose", "probe", "study", "command")


def programs(case: str) -> dict[str, str]:
    """What a case alone can do, with the first line about it: modules with a `main` and a page."""
    found = {}
    for file in sorted((Path(cases.__path__[0]) / case).glob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))  # reading is enough, and needs no torch
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        if "main" in functions and file.stem not in COMMON:
            about = (ast.get_docstring(tree) or "").partition("\n")[0]
            found[file.stem.replace("_", "-")] = about
    return found


def items(case: str) -> dict[str, str]:
    """The items of a case that holds many, with their titles: files with `FAULTS` and a `train`."""
    if case not in names():
        raise UnknownCaseError(f"there is no case {case!r}; there are: {', '.join(names())}")
    found = {}
    for file in sorted((Path(cases.__path__[0]) / case).glob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))  # reading is enough, and needs no torch
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        targets = [t for node in tree.body if isinstance(node, ast.Assign) for t in node.targets]
        if "train" in functions and any(
            isinstance(t, ast.Name) and t.id == "FAULTS" for t in targets
        ):
            found[file.stem] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def program(case: str) -> list[str]:
    """What trains a case, as words after `python -m`; UnknownCaseError where there is none."""
    name, slash, item = case.partition("/")
    known = items(name)
    if slash and item not in known:
        there = f"there are: {', '.join(known)}" if known else f"{name} is one model by itself"
        raise UnknownCaseError(f"{name} has no item {item!r}; {there}")
    if slash:
        return [part(name, "item").__name__.rpartition(".")[0], item]
    if known:
        raise UnknownCaseError(
            f"{name} holds {len(known)} models: name one, as in {name}/{next(iter(known))}; "
            f"`unstuck case list {name}` shows them"
        )
    return [part(name, "train").__name__]


def watched(
    case: str, arguments: Sequence[str], directory: Path, probe: bool | Sequence[int] = ()
) -> int:
    """Train a case as a watched child process, probed at these steps; its exit status."""
    words, recipe = program(case), launch.recipe_of(arguments)
    name = f"{case} {' '.join(arguments)}"[:100]
    env = launch.environment(directory, name=name, recipe=recipe, probe=probe)
    return launch.run(launch.python_command(["-m", *words, *arguments]), env)


def run_of(directory: Path) -> Run:
    """The recorded run, or UnreadableRunError where the script never trained."""
    try:
        run = load_all(directory)[0]
    except UnreadableRunError:
        if directory.exists():
            raise
        run = Run({})
    if not any(name.startswith(("loss/", "lr/")) for name in run.series):
        raise UnreadableRunError(
            "the script never trained: no backward pass and no optimizer step was seen, "
            "so there is nothing to diagnose"
        )
    return run


def prove(
    case: str,
    preset: str,
    *,
    seeds: Sequence[int],
    seed: int,
    out: Path,
    changes: Sequence[str] = (),
) -> Proof:
    """Watch, diagnose, try what answers the causes, and write `out/report.html`.

    `changes` are `key=value` words that change the preset. Finished parts of an earlier,
    interrupted call in the same folder are used again.
    """
    from unstuck.case_options import changes_of  # cases alone need pydantic

    console = Console(highlight=False)
    console.rule(f"1. {case}, preset {preset}, watched")
    words = ["--preset", preset, "--seed", str(seed), *_set(changes)]
    before = _recorded(case, words, out / "before")
    diagnosis = diagnose(before)
    console.rule("2. Diagnosis")
    treatments = _answering(case, diagnosis)
    terminal.print_diagnosis(diagnosis, console, treatments)
    trial, after = None, None
    if treatments:
        console.rule(f"3. {len(treatments)} treatments tried, paired over {len(seeds)} seeds")
        recipe = part(case, "recipe")
        changed = changes_of(changes)
        baseline = recipe.made(recipe.PRESETS[preset].flat() | changed)
        trial = _trial(case, baseline.flat(), treatments, seeds, diagnosis, out / "trial")
        terminal.print_trial(trial, console)
        best = story.proven(trial)
        if best is not None:
            console.rule(f"4. The run again, with {best.treatment.name}")
            chosen = [f"{key}={value}" for key, value in best.treatment.changes.items()]
            after = diagnose(_recorded(case, [*words, *_set(chosen)], out / "after"))
            terminal.print_diagnosis(after, console)
    report = html.write(
        out / "report.html",
        diagnosis,
        trial=trial,
        treatments=treatments,
        pictures=_pictures(out),
        title=f"{case}: {preset}",
        command=f"unstuck case prove {case} {' '.join(words)} --seeds {len(seeds)}",
    )
    return Proof(diagnosis, trial, after, report)


def _set(changes: Sequence[str]) -> list[str]:
    return [word for change in changes for word in ("--set", change)]


def _recorded(case: str, arguments: list[str], directory: Path) -> Run:
    done, asked = directory / "done", " ".join(arguments) + "\n"
    if done.exists() and done.read_text() != asked:
        raise UnreadableRunError(f"{directory} holds another run ({done.read_text().strip()})")
    if not done.exists():
        if directory.exists():  # an interrupted run: keep it aside rather than mix the two
            directory.rename(
                launch.new_directory(f"{directory.name}-interrupted", directory.parent)
            )
        status = watched(case, [*arguments, "--out", str(directory / "output")], directory)
        if status:
            raise UnreadableRunError(f"training of case {case} ended with exit status {status}")
        done.write_text(asked)
    return run_of(directory)


def _answering(case: str, diagnosis: Diagnosis) -> tuple[Treatment, ...]:
    codes = {cause.finding.code for cause in diagnosis.causes}
    known: tuple[Treatment, ...] = part(case, "faults").TREATMENTS
    return tuple(t for t in known if codes & set(t.answers))


def _trial(
    case: str,
    baseline: Recipe,
    treatments: tuple[Treatment, ...],
    seeds: Sequence[int],
    diagnosis: Diagnosis,
    out: Path,
) -> Trial:
    from unstuck.trials import trial  # scipy's statistics take a while to load

    train = part(case, "train")
    return trial(
        f"{train.__name__}:train",
        baseline,
        treatments,
        metric=train.METRIC,
        higher_is_better=train.HIGHER_IS_BETTER,
        unit=train.UNIT,
        margin=train.MARGIN,
        seeds=list(seeds),
        name=case,
        finding=diagnosis.causes[0].finding.code,
        stop_early=False,  # what a case is for: how large the effect is
        out=out,
    )


def _pictures(out: Path) -> Pictures | None:
    """Input, prediction before, prediction after, target of the same held-out samples."""
    files = [out / part / "output" / "held_out.npz" for part in ("before", "after")]
    if not files[0].exists():
        return None
    before = np.load(files[0], allow_pickle=False)
    after = np.load(files[1], allow_pickle=False) if files[1].exists() else None
    columns = {"input": before["input"], "prediction before": before["prediction"]}
    if after is not None:
        columns["prediction after"] = after["prediction"]
    columns["target"] = before["target"]
    top = float(np.quantile(before["target"].astype(np.float32), 0.999)) or 1.0

    def grey(picture: np.ndarray) -> NDArray[np.uint8]:
        return np.asarray(np.clip(picture.astype(np.float32) / top, 0, 1) * 255, dtype=np.uint8)

    count = min(PICTURE_ROWS, len(before["input"]))
    rows = tuple(tuple(grey(c[i]) for c in columns.values()) for i in range(count))
    return Pictures(tuple(columns), rows)
