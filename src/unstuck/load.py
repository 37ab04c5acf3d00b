"""Path -> Run: reads whatever runs lie there."""

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from pathlib import Path

from unstuck import catalog, words
from unstuck.naming import DISCRIMINATOR, GENERATOR, LOSS, TERM_ROLES, TRAINING, VALIDATION
from unstuck.reading.assemble import with_roles
from unstuck.records import Run
from unstuck.source import Source, UnreadableRunError

TEXT = 2  # the rank of sources that read plain text
DEEPEST = 12  # directories below the one given
MOST_PLACES = 100_000  # files and directories that are looked at
SKIPPED = {"__pycache__", "node_modules", "site-packages", "checkpoints", "weights"}
NO_LOGS = {  # ends of files below a directory that are not opened: data and code, often many
    *(".py", ".ipynb", ".c", ".cpp", ".cc", ".cu", ".h", ".js", ".ts", ".css", ".html", ".sh"),
    *(".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".svg", ".pdf", ".dcm"),
    *(".npy", ".npz", ".pt", ".pth", ".ckpt", ".safetensors", ".onnx", ".bin", ".pkl", ".h5"),
    *(".zip", ".tar", ".gz", ".xz", ".bz2", ".zst", ".7z", ".whl", ".nii", ".so", ".pyc"),
    *(".mp4", ".avi", ".mov", ".mkv", ".wav", ".mp3", ".flac", ".ogg", ".ttf", ".otf"),
}
ON_TRAINING = {LOSS, GENERATOR, DISCRIMINATOR, TRAINING, *TERM_ROLES}


@dataclass(frozen=True, slots=True)
class Place:
    """A file or directory, the source that reads it, and what its runs are called below it."""

    source: Source
    path: Path
    name: str
    validates: bool = False  # beside a log of the training: `val/loss.tsv`, `train/loss.tsv`


def load(path: str | Path, roles: Mapping[str, str] | None = None) -> Run | list[Run]:
    """The run at `path`, or a list of them where there are several.

    `roles` says what some series are for where their names mislead (`{"err": "validation"}`; the
    roles are those of `unstuck.naming`). Raises UnreadableRunError with one clear line where
    nothing can be read.
    """
    runs = load_all(path, roles)
    check_roles(runs, roles or ())
    return runs[0] if len(runs) == 1 else runs


def load_all(path: str | Path, roles: Mapping[str, str] | None = None) -> list[Run]:
    """Every run at or below `path`; what cannot be read is left out unless nothing can be."""
    runs: list[Run] = []
    errors: list[str] = []
    for place in places(path):
        try:
            runs += read(place, roles)
        except UnreadableRunError as error:
            errors.append(str(error))
    if not runs and errors:
        more = f" (and {len(errors) - 1} more like it)" if len(errors) > 1 else ""
        raise UnreadableRunError(errors[0] + more)
    return runs


def check_roles(runs: Iterable[Run], roles: Iterable[str]) -> None:
    """ValueError for a name that no run has, neither in its log nor in the glossary."""
    known = {name for run in runs for name in (*run.series, *map(str, run.facts.values()))}
    for name in roles:
        if name not in known:
            raise ValueError(f"there is no series {name!r}; `unstuck series PATH` lists them")


def read(place: Place, roles: Mapping[str, str] | None = None) -> list[Run]:
    """The runs at one place, named after where they lie."""
    runs = place.source.read(place.path)
    if place.name:
        runs = [
            replace(r, name=f"{place.name}/{r.name}" if len(runs) > 1 else place.name) for r in runs
        ]
    if place.validates:
        runs = [with_roles(run, _validating(run)) for run in runs]
    return [with_roles(run, roles) for run in runs] if roles else runs


def _validating(run: Run) -> dict[str, str]:
    return {name: VALIDATION for name, role in run.roles.items() if role in ON_TRAINING}


def places(path: str | Path) -> list[Place]:
    """Where runs lie at or below `path`; UnreadableRunError where there are none."""
    path = Path(path)
    if not path.exists():
        raise UnreadableRunError(f"{path} does not exist")
    if source := _source_of(path):
        return [Place(source, path, "")]
    if not path.is_dir():
        raise UnreadableRunError(
            f"{path} is no log unstuck can read (see `unstuck sources` for what it reads)"
        )
    found = list(_below(path, path, DEEPEST, [MOST_PLACES]))
    if not found:
        raise UnreadableRunError(
            f"{path} holds no run (see `unstuck sources` for what can be read)"
        )
    told = {folder for p in found if p.source.rank < TEXT for folder in p.path.parents}
    # text beside or above another log says the same once more
    found = [p for p in found if p.source.rank < TEXT or p.path.parent not in told]
    names = {p.name for p in found}
    return [replace(p, validates=_has_twin(p.name, names)) for p in found]


def _has_twin(name: str, names: Set[str]) -> bool:
    """Whether a log of validation has one of training beside it, alike in name but for the split.

    >>> _has_twin("test_error.tsv", {"learn_error.tsv"}), _has_twin("test/a.csv", {"b/a.csv"})
    (True, False)
    """
    return any(
        f"{name[: word.start()]}{split}{name[word.end() :]}" in names
        for word in re.finditer("[A-Za-z]+", name)
        if word[0].lower() in words.VALIDATION
        for split in words.TRAIN
    )


def _below(top: Path, folder: Path, depth: int, left: list[int]) -> Iterator[Place]:
    try:
        children = sorted(folder.iterdir())
    except OSError:
        return
    for child in children:
        left[0] -= 1
        if left[0] < 0:
            raise UnreadableRunError(f"{top} holds more than {MOST_PLACES:,} files; give a part")
        if child.name.startswith(".") or child.name in SKIPPED or child.is_symlink():
            continue
        if child.suffix.lower() in NO_LOGS:
            continue
        source = _source_of(child)
        if source:
            yield Place(source, child, str(child.relative_to(top)))
        elif depth and child.is_dir():
            yield from _below(top, child, depth - 1, left)


def _source_of(path: Path) -> Source | None:
    return next((s for s in catalog.sources() if s.knows(path)), None)
