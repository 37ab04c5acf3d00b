"""A treatment as a change of the user's script: a unified diff, where one line is responsible.

The script is read, never run. A patch that is applied leaves the old script beside the new one.
"""

import ast
import difflib
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from unstuck.changes import Change, parsed
from unstuck.patching import loss, optimizer
from unstuck.patching.source import Edit, NotPatchable, Source, number
from unstuck.records import Run, Scalar, Treatment

Editor = Callable[[Source, Change, Run], Iterator[Edit]]
_EDITORS: Mapping[str, Editor] = {
    "lr": optimizer.rate,
    "weight_decay": optimizer.decay,
    "clip": optimizer.clip,
    "finite": optimizer.finite,
    "zero_grad": optimizer.zero_grad,
    "accumulation": optimizer.mean,
    "warmup": optimizer.warmup,
    "schedule": optimizer.schedule,
    "weight": loss.term_weight,
    "label_smoothing": loss.label_smoothing,
    "scores": loss.raw_scores,
    "targets": loss.shaped_targets,
    "freeze": loss.frozen,
}


@dataclass(frozen=True, slots=True)
class Patch:
    """A script before and after, with the diff; or, in `note`, why there is none.

    `before` and `after` are bytes: encoding, line ends and tabs are the script's own.
    """

    script: Path
    before: bytes = b""
    after: bytes = b""
    diff: str = ""
    note: str = ""


def suggested(script: Path, treatment: Treatment, run: Run, given: Collection[str] = ()) -> Patch:
    """The lines of a script that a treatment is about, changed; a note where there are none.

    `given` are the fields whose values come from the command line, where they are to be changed.
    """
    try:
        source = Source.of(script)
        for field in sorted(set(given) & set(treatment.changes)):
            raise NotPatchable(f"{field} is given on the command line: change it there")
        before = script.read_bytes()
        after = source.changed([e for edits in _edits(source, treatment, run) for e in edits])
    except (NotPatchable, OSError) as why:
        return Patch(script, note=" ".join(str(why).split()))
    return Patch(script, before, after, _diff(script.name, source.encoding, before, after))


def apply(patch: Patch) -> Path:
    """Put the changed script in place of the old one, which is kept; where it is kept.

    Raises ValueError where there is nothing to apply, or the script is not what it was any more.
    """
    if not patch.diff:
        raise ValueError(f"there is no patch of {patch.script}: {patch.note}")
    if patch.script.read_bytes() != patch.before:
        raise ValueError(f"{patch.script} has been changed since the patch was made")
    kept = _kept(patch.script, patch.before)
    mode = patch.script.stat().st_mode
    target = patch.script.resolve()  # a link stays a link
    with NamedTemporaryFile(
        "wb", dir=target.parent, prefix=f".{target.name}.", delete=False
    ) as draft:
        try:
            draft.write(patch.after)
            draft.flush()
            os.fsync(draft.fileno())
            Path(draft.name).chmod(mode & 0o7777)
            Path(draft.name).replace(target)
        except BaseException:
            Path(draft.name).unlink(missing_ok=True)
            raise
    return kept


def _kept(script: Path, content: bytes) -> Path:
    """A copy under a name that was free: `train.py.orig`, `train.py.orig.2`, ..."""
    count = 1
    while True:
        path = script.with_name(f"{script.name}.orig" + (f".{count}" if count > 1 else ""))
        try:
            with path.open("xb") as copy:
                copy.write(content)
        except FileExistsError:
            count += 1
            continue
        return path


def _edits(source: Source, treatment: Treatment, run: Run) -> Iterator[list[Edit]]:
    live = {name: value for name, value in treatment.changes.items() if "/" in name}
    for field, value in treatment.changes.items():
        if "/" not in field:
            yield [_default(source, field, value)]
    for change in parsed(live).values():
        editor = _EDITORS.get(change.kind)
        if editor is None:
            raise NotPatchable(f"{change.name} is not one line of a script")
        yield list(editor(source, change, run))


def _default(source: Source, field: str, value: Scalar) -> Edit:
    """The default of an option that the script declares."""
    spelt = {f"--{field}", f"--{field.replace('_', '-')}"}
    for call in source.calls("add_argument", "option"):
        named = {a.value for a in call.args if isinstance(a, ast.Constant)}
        defaults = [k.value for k in call.keywords if k.arg == "default"]
        if spelt & named and defaults and number(defaults[0]) is not None:
            return source.replaced(defaults[0], repr(value))
    raise NotPatchable(f"no line of the script gives {field} a number by default")


def _diff(name: str, encoding: str, before: bytes, after: bytes) -> str:
    """A unified diff that `patch` and `git apply` take; lines keep their own ends."""
    old, new = (text.decode(encoding) for text in (before, after))
    lines = difflib.unified_diff(
        _lines(old), _lines(new), f"a/{name}", f"b/{name}", n=3, lineterm="\n"
    )
    whole = (n if n.endswith("\n") else f"{n}\n\\ No newline at end of file\n" for n in lines)
    return "".join(whole)


def _lines(text: str) -> list[str]:
    return re.findall(r"[^\n]*\n|[^\n]+", text)
