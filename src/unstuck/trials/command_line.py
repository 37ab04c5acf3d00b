"""A command line with alternatives in braces -> the arms of a trial and a command for its runs.

    python train.py --lr {1e-3,2e-4} --width {32,64} --seed {seed}

The first alternative of each brace is the baseline's. Every other one is a treatment that changes
that one thing; with `cross`, every combination is one. `{a..b}` are the whole numbers from a to b,
`{,--amp}` a word that may be missing, `{seed}` and `{out}` the seed and the folder of a run. Other
braces (JSON, say) stay what they are.
"""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from unstuck.records import Plan, Recipe, Scalar, Treatment
from unstuck.trials.plan import PlanError, live, planned
from unstuck.trials.spec import needs_watching
from unstuck.trials.subject import Subject, check_command
from unstuck.vocabulary import higher_is_better

GROUP = re.compile(r"\{([^{}]*)\}")
RANGE = re.compile(r"(-?\d{1,9})\.\.(-?\d{1,9})")
GIVEN = ("seed", "out")  # what a run gets from the trial
MOST_ALTERNATIVES = 100
QUOTE = "the shell takes bare braces apart: quote them, as in '{1e-3,2e-4}'"


@dataclass(frozen=True, slots=True)
class Varied:
    """One brace with alternatives: its field in the recipe, what people call it, the values."""

    field: str
    label: str
    values: tuple[str, ...]

    def name(self, value: str) -> str:
        """What the arm with this value is called."""
        return f"{self.label}={value}" if self.label else value or "without"


@dataclass(frozen=True, slots=True)
class CommandLine:
    """What a command line asks for: the command of the runs and the arms they make."""

    command: str
    baseline: Recipe
    treatments: tuple[Treatment, ...]
    seeded: bool  # the command has a place for the seed


def read_words(
    words: Sequence[str], changes: Sequence[str] = (), *, cross: bool = False
) -> CommandLine:
    """The arms in a command's words; `changes` are live changes, each an arm of its own.

    Raises PlanError where there is nothing to compare.

    >>> line = read_words(["python", "fit.py", "--lr", "{1,2}", "{seed}"])
    >>> line.command, line.baseline, [t.name for t in line.treatments]
    ("python fit.py --lr '{lr}' '{seed}'", {'lr': '1'}, ['lr=2'])
    """
    words = _with_program(words)
    found: list[Varied] = []
    literal: dict[str, Scalar] = {}
    template = [
        _templated(word, words[i - 1] if i else "", found, literal) for i, word in enumerate(words)
    ]
    baseline = {**{v.field: v.values[0] for v in found}, **literal}
    treatments = [*(_crossed(found) if cross else _one_by_one(found)), *map(_changed, changes)]
    if not treatments:
        raise PlanError(
            f"nothing to compare: give alternatives in braces, as in --lr {{1e-3,2e-4}}, or a "
            f"--change ({QUOTE})"
        )
    return CommandLine(
        shlex.join(template), baseline, tuple(treatments), any("{seed}" in w for w in words)
    )


def plan_of(
    words: Sequence[str],
    metric: str,
    seeds: Sequence[int] | int,
    *,
    changes: Sequence[str] = (),
    cross: bool = False,
    watch: bool = False,
    log: str = "",
    **rest: Any,
) -> tuple[Plan, Subject]:
    """The plan of a command line and what it runs; `rest` are other fields of `Plan`.

    A command without `{seed}` is watched and seeded from outside. Raises PlanError.
    """
    line = read_words(words, changes, cross=cross)
    rest.setdefault("name", script_of(words))
    rest.setdefault("higher_is_better", higher_is_better(metric))
    plan = planned(metric, line.baseline, line.treatments, seeds, **rest)
    reseed = not line.seeded and _is_python(line.command)
    check_command(line.command, plan, reseed, log)
    watched = needs_watching(plan, watch) or reseed
    return plan, Subject(command=line.command, watch=watched, reseed=reseed, log=log)


def _is_python(command: str) -> bool:
    return Path(shlex.split(command)[0]).name.startswith("python")


def _with_program(words: Sequence[str]) -> list[str]:
    """The words with a program in front: `train.py` and `-m module` are Python's."""
    if not words:
        raise PlanError("give a command: unstuck trial --metric NAME -- python train.py ARGS...")
    python = words[0] == "-m" or words[0].endswith(".py")
    return ["python", *words] if python else list(words)


def _templated(word: str, before: str, found: list[Varied], literal: dict[str, Scalar]) -> str:
    """The word with a placeholder for each brace; what the braces hold joins `found`."""
    label = _label(word, before)
    parts, end = [], 0
    for match in GROUP.finditer(word):
        parts += [word[end : match.start()], ""]
        end = match.end()
        values = _alternatives(match[1])
        if match[1] in GIVEN:
            parts[-1] = match[0]
        elif values:
            varied = Varied(_unused(label, found, literal), label, values)
            found.append(varied)
            optional = "" in values
            if optional and match[0] != word:
                raise PlanError(
                    f"an alternative of {word} is empty, which only a whole word can be"
                )
            parts[-1] = f"{{{varied.field}{'?' * optional}}}"
        else:
            parts[-1] = match[0]
    parts.append(word[end:])
    kept_apart = "".join(parts)
    if _holds_literals(kept_apart, word):
        field = _unused("word", found, literal)
        literal[field] = word
        return f"{{{field}}}"
    return kept_apart


def _holds_literals(template: str, word: str) -> bool:
    """Whether a word without alternatives has braces that are its own."""
    names = [name for name in GROUP.findall(word) if name not in GIVEN]
    return template == word and any(not name.isidentifier() for name in names)


def _alternatives(text: str) -> tuple[str, ...]:
    """What a brace offers; nothing where it is no offer."""
    between = RANGE.fullmatch(text)
    if between:
        first, last = int(between[1]), int(between[2])
        count = abs(last - first) + 1
        if count > MOST_ALTERNATIVES:
            raise PlanError(f"{{{text}}} makes {count} arms, at most {MOST_ALTERNATIVES} will do")
        step = 1 if last >= first else -1
        return tuple(str(n) for n in range(first, last + step, step))
    if "," not in text or re.search(r"[\"':\s]", text):
        return ()
    values = tuple(text.split(","))
    twice = [v for v in values if values.count(v) > 1]
    if twice:
        raise PlanError(f"{{{text}}} offers {twice[0]!r} twice")
    return values


def _label(word: str, before: str) -> str:
    """What the brace in a word is the value of: `--lr {..}`, `--lr={..}`, `optim.lr={..}`."""
    own = word.partition("{")[0]
    if own.endswith("="):
        return own[:-1].lstrip("-")
    if own and not own.startswith("-"):
        return ""
    return (own or (before if before.startswith("-") else "")).lstrip("-")


def _unused(label: str, found: Sequence[Varied], literal: Recipe) -> str:
    """A field for a label that nothing else has."""
    name = re.sub(r"\W", "_", label)
    name = name if name.isidentifier() and name not in GIVEN else f"arg_{name}".rstrip("_")
    taken = {v.field for v in found} | set(literal)
    candidates = [name, *(f"{name}_{i}" for i in range(2, len(taken) + 3))]
    return next(candidate for candidate in candidates if candidate not in taken)


def _one_by_one(found: Sequence[Varied]) -> list[Treatment]:
    return [
        Treatment(v.name(value), "", {v.field: value}, "") for v in found for value in v.values[1:]
    ]


def _crossed(found: Sequence[Varied]) -> list[Treatment]:
    made = []
    for values in list(product(*(v.values for v in found)))[1:]:
        pairs = list(zip(found, values, strict=True))
        changes = {v.field: value for v, value in pairs if value != v.values[0]}
        name = ", ".join(v.name(value) for v, value in pairs if v.field in changes)
        made.append(Treatment(name, "", changes, ""))
    return made


def _changed(text: str) -> Treatment:
    """`lr/adam=x0.1`, or several changes of one arm: `lr/adam=x0.1,clip/adam=1`."""
    changes: dict[str, Scalar] = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not equals or "/" not in name:
            raise PlanError(f"--change {text!r}: give NAME=VALUE, as in lr/optimizer=x0.1")
        changes[name.strip()] = value.strip()
    return Treatment(text, "", live(changes), "")


def script_of(words: Sequence[str]) -> str:
    """What a command line trains, in one word: the name of its script, module or program."""
    words = _with_program(words)
    rest = [word for word in words[1:] if not word.startswith("-")]
    if Path(words[0]).name.startswith("python") and rest and "-c" not in words[1:3]:
        return Path(rest[0]).stem if rest[0].endswith(".py") else rest[0].rpartition(".")[2]
    return Path(words[0]).stem
