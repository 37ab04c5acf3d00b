"""Which libraries the code of a run imports that take seconds to load: worth loading only once."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from unstuck.trials.code import code_of
from unstuck.trials.subject import Subject

TORCH = ("torch", "lightning", "pytorch_lightning", "transformers", "accelerate", "unstuck")
SLOW = ("sklearn.datasets", "scipy.stats", "torchvision", "pandas", "matplotlib.pyplot")
_IMPORT = re.compile(r"^[ \t]*(?:import|from)[ \t]+([\w.]+)", re.MULTILINE)


def slow_libraries(words: Sequence[str], subject: Subject) -> tuple[str, ...] | None:
    """What a run imports besides torch; None where it does not seem to use torch at all.

    `words` is the run's command line. The source is read, nothing is imported.
    """
    imported: set[str] = set()
    for file in _code(words, subject):
        imported |= set(_IMPORT.findall(file.read_text(encoding="utf-8", errors="replace")))
    tops = {name.partition(".")[0] for name in (*imported, subject.train)}
    if not subject.watch and not tops.intersection(TORCH):
        return None
    return tuple(name for name in SLOW if name in imported or name.partition(".")[0] in imported)


def _code(words: Sequence[str], subject: Subject) -> tuple[Path, ...]:
    roots = [Path(folder).resolve() for folder in (*subject.path, *sys.path) if folder]
    if subject.train:
        where = subject.train.rpartition(":")[0]
        is_file = where.endswith(".py")
        beside = [Path(where).parent.resolve()] if is_file else []
        return code_of(Path(where) if is_file else where, [*beside, *roots])
    for i, word in enumerate(words[1:], start=1):
        if word == "-m" and i + 1 < len(words):
            return code_of(words[i + 1], [Path.cwd(), *roots])
        if word.endswith(".py"):
            return code_of(Path(word), [Path(word).resolve().parent, *roots])
    return ()
