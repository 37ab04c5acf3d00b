"""What can be set from a script's command line, with the values it is called with.

From the script's source (read, never run) and the words it is called with: `--name value`,
`--name=value`, and the `name=value` of hydra and the like.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from unstuck.flags_declared import Declared, declared
from unstuck.records import Recipe, Scalar

MOST_WORDS = 10_000
_PAIR = re.compile(r"\+{0,2}([A-Za-z_][\w.@/-]*)=(.*)", re.DOTALL)
_SEED = re.compile(r"(?:(?:random|rng|manual|global|base|training|torch)_?)?seed|random_state|rng")
_BATCH = re.compile(
    r"(?:(?:train|training|per_device|per_device_train|per_gpu_train|device|global|mini|local)_?)*"
    r"(?:batch_?size|bsz?|batch)|n_batch"
)
# What the fields of counts mean that a treatment may change, by the last part of their names.
MEANINGS = {
    "batch": _BATCH,
    "accumulation": re.compile(
        r"(?:grad(?:ient)?_)?accum(?:ulate|ulation)?(?:_grad(?:ient)?(?:_batches|s)?)?"
        r"(?:_(?:steps|iter|iters|freq|batches))?|update_freq|grad_acc"
    ),
    "workers": re.compile(r"(?:num_|n_)?(?:data_?)?(?:loader_)?workers|num_worker|loaders"),
    "width": re.compile(
        r"(?:n_|num_)?(?:hidden|width|channels|features|filters|units|nf|ngf|base_channels)"
        r"(?:_?(?:dim|size|units|channels|features))?|d_model|embed_dim|n_embd|dim"
    ),
}
SEED_BEFORE = ("seed", "random_seed", "manual_seed")  # where a script has several
BATCH_BEFORE = ("batch_size", "train_batch_size", "per_device_train_batch_size")


@dataclass(frozen=True, slots=True)
class Flag:
    """One setting of a script: its name, how it is written, its present value.

    `option` ends in "=" where the value follows in the same word. `value` is None where it is
    known neither from the words nor as a default in the source.
    """

    field: str
    option: str
    value: Scalar | None = None
    given: bool = False  # by the words, not by default
    sets: bool | None = None  # a switch, which takes no value: what being there means

    def words(self, value: Scalar) -> list[str]:
        """
        >>> Flag("lr", "--lr").words(0.1), Flag("lr", "lr=").words(0.1)
        (['--lr', '0.1'], ['lr=0.1'])
        """
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if self.sets is not None:
            return [self.option] if value == self.sets else []
        return [self.option + text] if self.option.endswith("=") else [self.option, text]


def flags_of(script: Path, words: Sequence[str] = ()) -> tuple[Flag, ...]:
    """Every setting of a script that its source declares or its words give, each once.

    A script that cannot be read has those of its words.
    """
    known = declared(script)
    flags: dict[str, Flag] = {}
    for option in known:
        flag = Flag(option.field, _longest(option), option.default, sets=_sets(option))
        twice = flags.get(flag.field)
        if twice is None:
            flags[flag.field] = flag
        elif twice.value != flag.value:  # sub-commands with other defaults
            flags[flag.field] = replace(twice, value=None)
    for place in _places(words, known):
        flags[place.flag.field] = place.flag
    return tuple(flags.values())


def seed_flag(flags: Iterable[Flag]) -> Flag | None:
    """The flag that seeds a training.

    >>> seed_flag([Flag("train.seed", "train.seed=", 0), Flag("lr", "--lr")]).field
    'train.seed'
    """
    return _likeliest([f for f in flags if _SEED.fullmatch(_own(f.field))], SEED_BEFORE)


def batch_flag(flags: Iterable[Flag]) -> Flag | None:
    """The flag of the number of training samples in a step, where its value is a known count."""
    return _likeliest([f for f in flags if _counts(f, "batch")], BATCH_BEFORE)


def count_in(recipe: Recipe, meaning: str) -> tuple[str, int] | None:
    """The field of a recipe that counts what is meant (one of MEANINGS), and its value.

    >>> count_in({"train.batch_size": 32, "val_batch_size": 100}, "batch")
    ('train.batch_size', 32)
    """
    fields = [Flag(field, "", value) for field, value in recipe.items()]
    found = _likeliest([f for f in fields if _counts(f, meaning)], BATCH_BEFORE)
    return (found.field, int(found.value)) if found and found.value is not None else None


def words_with(
    words: Sequence[str], flags: Iterable[Flag], changes: Mapping[str, Scalar]
) -> list[str]:
    """The words of a call with some fields set anew; ValueError for a field without a flag.

    >>> words_with(["--lr", "0.1", "data"], [Flag("lr", "--lr", 0.1)], {"lr": 0.01})
    ['data', '--lr', '0.01']
    """
    by_field = {flag.field: flag for flag in flags}
    unknown = sorted(set(changes) - set(by_field))
    if unknown:
        raise ValueError(f"the script has no flag for {unknown[0]!r}")
    known = [
        Declared(f.field, (f.option,), f.value, switch=f.sets is not None)
        for f in by_field.values()
    ]
    taken = {i for p in _places(words, known) if p.flag.field in changes for i in p.at}
    kept = [word for i, word in enumerate(words) if i not in taken]
    return [*kept, *(w for field, v in changes.items() for w in by_field[field].words(v))]


@dataclass(frozen=True, slots=True)
class _Place:
    """A flag as it stands in the words, and which of them are its own."""

    flag: Flag
    at: tuple[int, ...]


def _places(words: Sequence[str], known: Iterable[Declared]) -> list[_Place]:
    by_option = {o.rstrip("="): d for d in known for o in d.options}
    found: list[_Place] = []
    at = 0
    while at < min(len(words), MOST_WORDS) and words[at] != "--":
        word = words[at]
        option, equals, text = word.partition("=")
        length = 1
        if re.match(r"--?[A-Za-z]", word):
            of = _known(option, by_option)
            field = of.field if of else option.lstrip("-").replace("-", "_")
            follows = at + 1 < len(words) and not _is_option(words[at + 1])
            if equals:
                flag = Flag(field, _as_written(option, of), _value(text, of), given=True)
            elif (of and of.switch) or not follows:
                on = not (of and of.default is True)
                flag = Flag(field, option, on, given=True, sets=on)
            else:
                length = 2
                while (
                    of
                    and of.many
                    and at + length < len(words)
                    and not _is_option(words[at + length])
                ):
                    length += 1
                value = _value(words[at + 1], of) if length == 2 else None
                flag = Flag(field, option, value, given=True)
            found.append(_Place(flag, tuple(range(at, at + length))))
        elif pair := _PAIR.fullmatch(word):
            of = by_option.get(pair[1])
            found.append(_Place(Flag(pair[1], f"{option}=", _value(pair[2], of), True), (at,)))
        at += length
    return found


def _known(option: str, by_option: Mapping[str, Declared]) -> Declared | None:
    """An option by its name or, as argparse has it, by an unambiguous beginning of it."""
    if option in by_option:
        return by_option[option]
    begun = {
        d.field: d for o, d in by_option.items() if o.startswith("--") and o.startswith(option)
    }
    return next(iter(begun.values())) if option.startswith("--") and len(begun) == 1 else None


def _is_option(word: str) -> bool:
    return bool(re.match(r"--?[A-Za-z]|--$", word))


def _as_written(option: str, of: Declared | None) -> str:
    """With "=" where the source does not say that two words do as well."""
    return option if of and not any(o.endswith("=") for o in of.options) else f"{option}="


def _sets(option: Declared) -> bool | None:
    return option.default is not True if option.switch else None


def _longest(option: Declared) -> str:
    return next((o for o in option.options if o.startswith("--")), option.options[0])


def _value(text: str, of: Declared | None) -> Scalar:
    """A word as the type that is declared, or as a number where it is one."""
    kind = of.kind if of else None
    if kind is str:
        return text
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for number in (int, float):
        try:
            value = number(text)
        except ValueError:
            continue
        if math.isfinite(value):
            return float(value) if kind is float else value
    return text


def _own(field: str) -> str:
    """The last part of a dotted name, in lower case: `data.batch-size` -> batch_size."""
    return re.split(r"[./@]", field.lower())[-1].replace("-", "_")


def _counts(flag: Flag, meaning: str) -> bool:
    least = 0 if meaning == "workers" else 1  # no worker is a count, too
    known = isinstance(flag.value, int) and not isinstance(flag.value, bool)
    fine = known and flag.value is not None and int(flag.value) >= least
    return fine and bool(MEANINGS[meaning].fullmatch(_own(flag.field)))


def _likeliest(found: Sequence[Flag], before: Sequence[str]) -> Flag | None:
    def rank(flag: Flag) -> tuple[int, bool]:
        name = _own(flag.field)
        return (before.index(name) if name in before else len(before)), not flag.given

    return min(found, key=rank, default=None)
