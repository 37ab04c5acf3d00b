"""A script's command line as the command of a trial: seeds and fields as placeholders."""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from unstuck.flags import Flag, flags_of, seed_flag, words_with
from unstuck.records import Recipe, Scalar, Treatment
from unstuck.trials.subject import PLACEHOLDER, Subject
from unstuck.watcher import launch


@dataclass(frozen=True, slots=True)
class Script:
    """What trains: the words of a command line, read once.

    `seed` is the script's own flag for its seed; without one every watched run is seeded from
    outside.
    """

    words: tuple[str, ...]
    flags: tuple[Flag, ...]
    seed: Flag | None

    @classmethod
    def of(cls, words: Sequence[str]) -> "Script":
        """`train.py --lr 1` or `-m package.train --lr 1`; ValueError where there is no script."""
        if not words:
            raise ValueError("give a script: unstuck fix train.py ARGS...")
        if words[0] == "-m":
            if len(words) < 2:
                raise ValueError("-m needs a module: unstuck fix -m package.train ARGS...")
        elif not Path(launch.program_file(words[0])).is_file():
            raise ValueError(f"there is no script {words[0]}")
        flags = flags_of(Path("-" if words[0] == "-m" else words[0]), _arguments(words))
        return cls(tuple(words), flags, seed_flag(flags))

    @property
    def name(self) -> str:
        return launch.name_of(self.words)

    @property
    def line(self) -> str:
        return shlex.join(self.words)

    @property
    def file(self) -> Path | None:
        """The script's file, where it is one."""
        path = Path(self.words[0])
        return path if path.suffix == ".py" and path.is_file() else None

    @property
    def arguments(self) -> list[str]:
        return _arguments(self.words)

    @property
    def recipe(self) -> dict[str, Scalar]:
        """Every setting whose value is known, given or by default."""
        return {flag.field: flag.value for flag in self.flags if flag.value is not None}

    @property
    def own_seed(self) -> int | None:
        """The seed it runs with when nobody changes it, where that is known."""
        value = self.seed.value if self.seed else None
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def command(self, treatments: Iterable[Treatment]) -> tuple[Subject, dict[str, Scalar]]:
        """What a trial of these treatments runs, and its baseline recipe: the fields they change.

        Raises ValueError where the script has no flag for a field.
        """
        changed = sorted({f for t in treatments for f in t.changes if "/" not in f})
        baseline = {field: self._present(field) for field in changed}
        set_anew: dict[str, Scalar] = {field: f"{{{field}}}" for field in changed}
        if self.seed is not None:
            set_anew[self.seed.field] = "{seed}"
        literal: dict[str, Scalar] = {}
        start = self._start()
        words = words_with(_kept_apart(self.arguments, literal, len(start)), self.flags, set_anew)
        program = launch.python_command(_kept_apart(start, literal, 0))
        subject = Subject(command=shlex.join([*program, *words]), watch=True, reseed=not self.seed)
        return subject, {**baseline, **literal}

    def with_changes(self, changes: Recipe) -> list[str]:
        """The command line's words with some fields set anew."""
        return [*self._start(), *words_with(self.arguments, self.flags, changes)]

    def can(self, treatment: Treatment) -> str:
        """Why the script cannot be treated so; nothing where it can."""
        for field in treatment.changes:
            if "/" not in field:
                flag = next((f for f in self.flags if f.field == field), None)
                if flag is None or flag.value is None or flag.sets is not None:
                    return f"the script has no flag for {field} whose value is known"
                if not field.isidentifier() or field == "seed":
                    return f"{field} cannot stand in a command's template"
        return ""

    def _present(self, field: str) -> Scalar:
        flag = next((f for f in self.flags if f.field == field), None)
        if flag is None or flag.value is None:
            raise ValueError(f"the script has no flag for {field} whose value is known")
        return flag.value

    def _start(self) -> list[str]:
        """The script or module, without its arguments."""
        return list(self.words[: len(self.words) - len(self.arguments)])


def _kept_apart(words: Sequence[str], literal: dict[str, Scalar], first: int) -> list[str]:
    """Words that look like a template's placeholders become fields that hold them."""
    found = []
    for i, word in enumerate(words, start=first):
        if PLACEHOLDER.search(word):
            literal[f"word_{i}"] = word
            word = f"{{word_{i}}}"
        found.append(word)
    return found


def _arguments(words: Sequence[str]) -> list[str]:
    return list(words[2:] if words[0] == "-m" else words[1:])


def changed_words(changes: Mapping[str, Scalar]) -> list[str]:
    """Live changes as options of `unstuck run`."""
    return [w for name, value in changes.items() for w in ("--change", f"{name}={_plain(value)}")]


def _plain(value: Scalar) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return re.sub(r"\s+", " ", text)
