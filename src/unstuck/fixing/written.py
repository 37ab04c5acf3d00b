"""What a fix leaves in its folder: JSON, a page, the proven change as settings and as a patch."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from unstuck import atomic
from unstuck.fixed import Fixed
from unstuck.fixing.fix import Examined
from unstuck.fixing.script import Script, changed_words
from unstuck.patching import patch
from unstuck.records import Scalar, Treatment
from unstuck.report import fixed_json, fixed_page, fixed_story
from unstuck.report.text import clean
from unstuck.settings_diff import settings_diff
from unstuck.trials.schedule import slug
from unstuck.watcher import launch

CLAIMED = ("proven", "finding gone")


def new_folder(words: Sequence[str]) -> Path:
    """A folder of its own for a new fix; ValueError where there is no script."""
    return launch.new_directory(f"fix-{slug(Script.of(words).name)}")


def completed(fixed: Fixed, examined: Examined) -> Fixed:
    """With the proven change as settings, as a command line, and as a patch of the script."""
    if fixed.confirmation is None or fixed.word not in CLAIMED:
        return fixed
    treatment = fixed.confirmation.treatment
    run, file = examined.before.run, examined.script.file
    given = [flag.field for flag in examined.script.flags if flag.given]
    found = patch.suggested(file, treatment, run, given) if file else None
    return replace(
        fixed,
        settings=settings_diff(run, treatment),
        again=again(treatment, examined.script),
        patch=found.diff if found else "",
        patch_note=f"no patch: {found.note if found else 'the script is no file'}"
        if not (found and found.diff)
        else "",
    )


def applied(fixed: Fixed, examined: Examined) -> str:
    """Put the proven change into the script; a line on what was done."""
    file = examined.script.file
    if fixed.confirmation is None or not fixed.patch or file is None:
        return "Nothing applied: there is no proven change of a line of the script"
    kept = patch.apply(patch.suggested(file, fixed.confirmation.treatment, examined.before.run))
    return f"Applied to {file}; the script as it was is {kept}"


def again(treatment: Treatment, script: Script) -> str:
    """The command line that trains with a treatment."""
    live = {name: value for name, value in treatment.changes.items() if "/" in name}
    fields = {name: value for name, value in treatment.changes.items() if "/" not in name}
    words = script.with_changes(fields) if fields else list(script.words)
    if live:
        return shlex.join(["unstuck", "run", *changed_words(live), *words])
    return shlex.join(["python", *words])


def all_of(
    fixed: Fixed, examined: Examined, html: Path | None, json_file: Path | None
) -> list[str]:
    """Write every file; what was written, a line each. Raises OSError."""
    out = examined.out
    page, told = fixed_page.render(fixed), fixed_json.dumps(fixed)
    files = {out / "report.html": page, out / "fix.json": told}
    files |= {html: page} if html else {}
    files |= {json_file: told} if json_file else {}
    if fixed.again:
        files[out / "settings.toml"] = settings_toml(fixed)
    if fixed.patch:
        files[out / "suggested.patch"] = fixed.patch
    for path, text in files.items():
        atomic.write_text(path, text)
    return [f"Written: {', '.join(str(path) for path in files)}"]


def settings_toml(fixed: Fixed) -> str:
    """The proven change, to be used again."""
    confirmation = fixed.confirmation
    if confirmation is None:
        return ""
    treatment = confirmation.treatment
    lines = [
        "# What `unstuck fix` has proven, and the command line that trains with it.",
        f"command = {_text(fixed.again)}",
        f"treatment = {_text(treatment.name)}",
        f"remedy = {_text(treatment.remedy)}",
        f"claim = {_text(fixed_story.claim(confirmation))}",
        f"seeds = {list(confirmation.trial.plan.seeds)}",
        "",
        "[changes]",
        *(f"{_text(name)} = {_value(value)}" for name, value in treatment.changes.items()),
    ]
    return "\n".join(lines) + "\n"


def _text(text: str) -> str:
    r"""A basic string of TOML: JSON's, but for DEL, which TOML wants escaped."""
    return json.dumps(clean(text, 2000)).replace("\x7f", "\\u007f")


def _value(value: Scalar) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return _text(value) if isinstance(value, str) else repr(value)
