"""Commands that experiment on a live model or look into a checkpoint: probe, preflight, recover."""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from unstuck.experiment import Examination, Probe
    from unstuck.lab.subject import Subject

MINUTE = 50.0  # seconds of probing in a preflight; the rest of the minute goes to loading torch
TARGET_HELP = "module:function or file.py:function"


def subject_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What both commands ask for."""
    file = click.Path(path_type=Path)
    for option in (
        click.option("--json", "json_file", type=file, help="Write JSON."),
        click.option("--html", "html_file", type=file, help="Write a page with plots."),
        click.option("--out", type=file, help="Run directory to record the facts in."),
        click.option("--gpu-memory", help="The card that training is planned on, such as 15GB."),
        click.option("--seed", default=0, show_default=True, help="Set before the function runs."),
        click.argument("target", metavar="MODULE:FUNCTION"),
    ):
        command = option(command)
    return command


@click.command(name="probe")
@subject_options
@click.option("--only", multiple=True, help="Names of probes (default: all).")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="Time for all of them.")
def probe_command(target: str, only: tuple[str, ...], seconds: float | None, **asked: Any) -> None:
    """Experiment on the model that FUNCTION gives, and put everything back.

    MODULE:FUNCTION, or FILE.py:FUNCTION, gives an unstuck.Subject, or (model, batch, loss) with or
    without an optimizer, or a mapping of the same.
    """
    _need_torch()
    from unstuck.examine import chosen

    names = [name for text in only for name in text.split(",")]
    _examine(target, chosen(names), seconds or float("inf"), "probe", **asked)


@click.command(name="preflight")
@subject_options
@click.option(
    "--seconds", type=click.FloatRange(0, min_open=True), default=MINUTE, show_default=True,
    help="Time for all probes.",
)  # fmt: skip
def preflight_command(target: str, seconds: float, **asked: Any) -> None:
    """Say go or no-go within a minute, before hours are spent: the cheap probes, and why.

    Exit status 0: go; 1: no-go; 2: nothing could be probed.
    """
    _need_torch()
    from unstuck.examine import chosen

    word = _examine(target, chosen(cheap=True), seconds, "preflight", **asked)
    sys.exit({"go": 0, "no-go": 1}.get(word, 2))


@click.command(name="recover")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("family", metavar="MODULE:FAMILY")
def recover_command(checkpoint: Path, family: str) -> None:
    """Say which options CHECKPOINT was built with, and the tensors that prove it.

    MODULE:FAMILY, or FILE.py:FAMILY, is an unstuck.Family: a builder and what its options may be.
    """
    _need_torch()
    from rich.console import Console
    from rich.text import Text

    from unstuck.lab.families import Family
    from unstuck.lab.families_checkpoint import recovered_from_file
    from unstuck.probes.recipe_recovery import listing, sentences
    from unstuck.report.terminal import print_table
    from unstuck.report.text import clean, scalar

    known = _named(family)
    known = known() if callable(known) and not isinstance(known, Family) else known
    if not isinstance(known, Family):
        raise click.ClickException(f"{family} is a {type(known).__name__}, not an unstuck.Family")
    found = recovered_from_file(checkpoint, known)
    for line in sentences(found, known.name):
        click.echo(clean(line, 1000))
    table = listing(found)
    rows = [[Text(scalar(cell)) for cell in row] for row in table.rows]
    print_table(Console(highlight=False), table.columns, rows, [])
    sys.exit(0 if found.exact else 1)


def _need_torch() -> None:
    if importlib.util.find_spec("torch") is None:
        raise click.ClickException("probes need torch: pip install 'unstuck[torch]'")


def _examine(
    target: str,
    probes: "tuple[Probe, ...]",
    seconds: float,
    command: str,
    *,
    seed: int,
    gpu_memory: str | None,
    out: Path | None,
    html_file: Path | None,
    json_file: Path | None,
) -> str:
    """Everything after the words are understood; the decision's word."""
    from unstuck.lab.sizes import bytes_of
    from unstuck.preflight import decided
    from unstuck.prescribe import prescribe
    from unstuck.report import examination as shown

    memory = bytes_of(gpu_memory) if gpu_memory else None
    if out is not None and (out / "run.sqlite").exists():
        raise click.ClickException(f"{out} already holds a run; give another --out")
    subject = subject_of(target, seed)
    if memory is not None:
        subject.gpu_memory = memory
    found = with_progress(subject, probes, seconds)
    decision = decided(found)
    shown.print_examination(found, decision)
    if html_file:
        treatments = prescribe(found.diagnosis)
        words = f"unstuck {command} {target}"
        shown.write(html_file, found, decision, treatments=treatments, title=target, command=words)
    if json_file:
        shown.write_json(json_file, found, decision)
    if out is not None:
        record(out, target, found)
    return decision.word


def with_progress(
    subject: "Subject", probes: "tuple[Probe, ...]", seconds: float = float("inf")
) -> "Examination":
    """Examine with a progress bar on standard error."""
    from unstuck.examine import examined
    from unstuck.report.terminal import progress

    with progress("probing", len(probes)) as done:
        begun: list[str] = []

        def about(name: str) -> None:
            if begun:
                done(1)
            begun.append(name)

        return examined(subject, probes, seconds=seconds, about=about)


def record(out: Path, name: str, found: "Examination") -> None:
    """Keep the facts as a run, for `unstuck diagnose`."""
    from unstuck.watcher.store import Store

    store = Store(out, name=name, recipe={"command": " ".join(sys.argv)[:1000]})
    store.note(found.facts)
    store.close()


def subject_of(target: str, seed: int = 0) -> "Subject":
    """What MODULE:FUNCTION gives, as a Subject. ClickException, in one line, where it is none."""
    import torch

    function = _named(target)
    if not callable(function):
        raise click.ClickException(f"{target} is a {type(function).__name__}, not a function")
    torch.manual_seed(seed)
    try:
        return _as_subject(function(), target)
    except TypeError as error:
        raise click.ClickException(f"{target}: {error}") from None


def _named(target: str) -> Any:
    """What MODULE:NAME or FILE.py:NAME means. UsageError or ClickException where there is none."""
    module, colon, name = target.rpartition(":")
    if not (colon and module and name):
        raise click.UsageError(f"{target!r}: give {TARGET_HELP}")
    loaded = _imported(module)
    if not hasattr(loaded, name):
        raise click.ClickException(f"{module} has no {name!r}")
    return getattr(loaded, name)


def _imported(module: str) -> Any:
    """A module by its dotted name, or a file; an error of its own code comes through as it is."""
    sys.path.insert(0, str(Path.cwd()))
    if not module.endswith(".py"):
        try:
            return importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name and module.startswith(error.name):
                raise click.ClickException(f"there is no module {module}") from None
            raise
    file = Path(module)
    if not file.is_file():
        raise click.ClickException(f"there is no file {module}")
    sys.path.insert(0, str(file.resolve().parent))
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec and spec.loader  # a .py file has both
    loaded = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(file.stem, loaded)
    spec.loader.exec_module(loaded)
    return loaded


def _as_subject(given: Any, target: str) -> "Subject":
    from unstuck.lab.subject import Subject

    if isinstance(given, Subject):
        return given
    if isinstance(given, Mapping):
        return Subject(**given)
    if isinstance(given, tuple) and 3 <= len(given) <= 4:
        return Subject(*given)
    raise click.ClickException(
        f"{target} gave a {type(given).__name__}; return an unstuck.Subject or "
        "(model, batch, loss, optimizer)"
    )
