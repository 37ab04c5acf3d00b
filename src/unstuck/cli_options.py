"""What several commands share: where a script's own words begin, and how a diagnosis is shown."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from unstuck.prescribe import prescribe
from unstuck.records import SEVERITIES, Diagnosis

SEVERITY = click.Choice(SEVERITIES)


class ScriptCommand(click.Command):
    """A command whose options end where a script's own command line begins."""

    def begins(self, args: list[str]) -> int:
        """Where in the words the script's own command line begins."""
        options = {o: p for p in self.params if isinstance(p, click.Option) for o in p.opts}
        i = 0
        while i < len(args):
            word, equals, _ = args[i].partition("=")
            option = options.get(word)
            if word == "-m" or word == "--" or (option is None and word != "--help"):
                break
            i += 1 if equals or option is None or not _takes(option, args[i + 1 :]) else 2
        return i

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        i = self.begins(args)
        if i < len(args) and args[i].startswith("--") and args[i] != "--":
            raise click.NoSuchOption(args[i], ctx=ctx)
        rest = args[i + 1 :] if i < len(args) and args[i] == "--" else args[i:]
        return super().parse_args(ctx, [*args[:i], "--", *rest])


def _takes(option: click.Option, rest: list[str]) -> bool:
    """Whether an option takes the next word; one that may do without takes numbers alone."""
    may_do_without = bool(getattr(option, "_flag_needs_value", False))
    return not option.is_flag and not (may_do_without and rest and not rest[0][:1].isdigit())


def probe_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--probe`, alone or with steps."""
    return click.option(
        "--probe",
        is_flag=False,
        flag_value="usual",
        metavar="[STEPS]",
        callback=steps_of,
        help="Experiment on the live model at these steps (alone: 1,200), and put it back.",
    )(command)


def steps_of(ctx: click.Context, option: click.Parameter, text: str | None) -> bool | list[int]:
    """`1,200` as steps, `usual` as True, nothing as False."""
    if text is None or text == "usual":
        return text is not None
    try:
        return [int(step) for step in text.split(",")]
    except ValueError:
        raise click.BadParameter(f"{text!r}: give steps, such as 1,200", ctx, option) from None


def report_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--html`, `--json` and `--fail-on`, alike for every command that ends in a diagnosis."""
    for option in (
        click.option("--fail-on", type=SEVERITY, help="Exit with 1 on findings this bad."),
        click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write JSON."),
        click.option("--html", "html_file", type=click.Path(path_type=Path), help="Write HTML."),
    ):
        command = option(command)
    return command


def show(
    diagnosis: Diagnosis,
    html_file: Path | None,
    json_file: Path | None,
    *,
    to_stderr: bool = False,
    command: str = "",
) -> None:
    from rich.console import Console

    from unstuck.report import terminal

    treatments = prescribe(diagnosis)
    terminal.print_diagnosis(diagnosis, Console(stderr=to_stderr, highlight=False), treatments)
    if html_file:
        from unstuck.report import html

        html.write(html_file, diagnosis, treatments=treatments, command=command)
    if json_file:
        from unstuck.report import as_json

        as_json.write(json_file, diagnosis)


def status_of(diagnosis: Diagnosis, fail_on: str | None) -> int:
    severity = next((s for s in SEVERITIES if s == fail_on), None)
    return 1 if severity and diagnosis.at_least(severity) else 0
