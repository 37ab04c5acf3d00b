"""tensorboard: event files (`events.out.tfevents.*`), one Run for each directory that is a run.

## What is read

Scalars, in every form writers give them: `simple_value` of torch.utils.tensorboard, tensorboardX
and Lightning, tensors of one number (`float`, `double`, `half`, `bfloat16` and whole numbers) of
TensorFlow 2, Keras and `new_style=True`. Each with its step and wall time.

A directory with event files is a run; its files are read in the order of their names, which begin
with the time they were made. Runs below it are runs of their own, but for three kinds of
directories that belong to the run above them:

- what `add_scalars` wrote (`loss_train/` or `loss/train/` with the one tag `loss`) becomes the
  series `loss/train`,
- `train`, `validation`, `eval` and the like become prefixes of one run's names: `train/epoch_loss`.
  The run above needs no event files of its own where there is a `train` and one of the others,
- what `add_hparams` wrote becomes the run's recipe.

The recipe also comes from a `hparams.yaml` beside the event files and from the hparams plugin.

A restarted run writes some steps anew: the later readings count. Where a session says from which
step it goes on (`purge_step`), what was written before it from that step on is void, in all series.
Scalars that were all logged without a step are numbered by themselves.

The sums (CRC32C) of all lengths are checked, and of all records up to 4 KiB that hold a scalar; a
damaged record is left out. A damaged length ends the file. A last record that is cut off is left
out, as in a run that was killed or still writes. What was left out stands in `source/remark`.

## How it is recognised

A file by its first record: a length with its right sum, and an event that begins with its wall
time. A directory by such a file named `*tfevents*` directly in it, or by a `train` directory and a
validation one beside it that have such files.

## What is left out

Images, audio, histograms, text, graphs, meshes and curves; records above 16 MB; the metrics of the
hparams plugin's own table; Keras's `evaluation_*_vs_iterations`, which count batches where
everything else counts epochs. Numbers that were stored as 32-bit floats have their seven digits.

## References

- event and summary: https://github.com/tensorflow/tensorboard/tree/master/tensorboard/compat/proto
- record files: https://www.tensorflow.org/tutorials/load_data/tfrecord
- `add_scalars`, `add_hparams`, `purge_step`: https://docs.pytorch.org/docs/stable/tensorboard.html
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from unstuck.reading.assemble import Readings, assembled, numbered
from unstuck.reading.bounds import head
from unstuck.reading.events import EventLog
from unstuck.reading.protobuf import BYTES, WireError, fields, text, value_of
from unstuck.reading.recipes import MOST_SETTINGS, flattened, yaml_settings
from unstuck.reading.tfrecord import BEFORE, begins
from unstuck.records import Run, Scalar
from unstuck.source import Source, UnreadableRunError

WALL_TIME_KEY = 0x09  # the first byte of an event
VALIDATIONS = {"validation", "valid", "val", "eval", "evaluation", "test", "dev"}
SPLITS = {"train", "training", *VALIDATIONS}
DEEPEST, MOST_FOLDERS = 12, 100_000
LONGEST_REMARK = 500
_BY_BATCHES = re.compile(r"(^|/)evaluation_.*_vs_iterations$")
_BY_EPOCHS = re.compile(r"(^|/)epoch_[^/]*$")


@dataclass(slots=True)
class Folder:
    """What lies in one directory, and in those below that belong to its run."""

    series: dict[str, Readings] = field(default_factory=dict)
    recipe: dict[str, Scalar] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    is_trial: bool = False  # written by add_hparams


Names = Callable[[str, Folder], dict[str, str] | None]


def knows(path: Path) -> bool:
    """Whether a path is an event file or the directory of a run."""
    if not path.is_dir():
        return _is_event_file(path)
    if _event_files(path):
        return True
    below = {child.name.lower(): child for child in _folders(path) if child.name.lower() in SPLITS}
    return (
        any(name not in VALIDATIONS for name in below)
        and any(name in VALIDATIONS for name in below)
        and sum(bool(_event_files(child)) for child in below.values()) > 1
    )


def read(path: Path) -> list[Run]:
    """The runs at and below a directory, or the run in one file."""
    if not path.is_dir():
        return [_run(path.resolve().parent.name, path, _folder(path.parent, [path]))]
    found = {folder: _folder(folder, files) for folder, files in _all_below(path)}
    _joined(path, found, _by_add)
    above_splits = {f.parent for f in found if f != path and f.name.lower() in SPLITS}
    found |= {f: Folder(recipe=_beside(f)) for f in above_splits - set(found) if knows(f)}
    _joined(path, found, _by_split)
    runs: list[Run] = []
    errors: list[UnreadableRunError] = []
    for folder, it in sorted(found.items()):
        name = path.resolve().name if folder == path else folder.relative_to(path).as_posix()
        try:
            runs.append(_run(name, folder, it))
        except UnreadableRunError as error:
            errors.append(error)
    if not runs:
        raise errors[0] if errors else UnreadableRunError(f"{path} holds no whole event file")
    return runs


def _joined(top: Path, found: dict[Path, Folder], names_of: Names) -> None:
    """Give what lies in a directory to the run above it where it belongs to that."""
    for folder in sorted(found, key=lambda f: (-len(f.parts), f)):
        above = next((p for p in folder.parents if p in found), None) if folder != top else None
        if above is None:
            continue
        it, owner = found[folder], found[above]
        place = folder.relative_to(above).as_posix()
        names = names_of(place, it)
        if names is None:
            continue
        for tag, name in names.items():
            owner.series[f"{place}/{tag}" if name in owner.series else name] = it.series[tag]
        owner.recipe |= it.recipe
        owner.remarks += it.remarks
        del found[folder]


def _by_add(place: str, it: Folder) -> dict[str, str] | None:
    """The names of what add_scalars wrote; none for add_hparams; None where neither wrote."""
    if len(it.series) == 1:
        (tag,) = it.series
        for start in (f"{tag.replace('/', '_')}_", f"{tag}/"):
            if place.startswith(start) and len(place) > len(start):
                return {tag: f"{tag}/{place.removeprefix(start)}"}
    alone = it.is_trial and all(r.step.size < 2 for r in it.series.values())
    return {} if alone else None


def _by_split(place: str, it: Folder) -> dict[str, str] | None:
    return {tag: f"{place}/{tag}" for tag in it.series} if place.lower() in SPLITS else None


def _run(name: str, place: Path, it: Folder) -> Run:
    series: Mapping[str, Readings] = it.series
    unit = "step"
    if any(_BY_EPOCHS.search(tag) for tag in series):
        series = {tag: r for tag, r in series.items() if not _BY_BATCHES.search(tag)}
        if all(_BY_EPOCHS.search(tag) for tag in series):
            unit = "epoch"
    if not series:
        remark = f" ({'; '.join(it.remarks)[:LONGEST_REMARK]})" if it.remarks else ""
        raise UnreadableRunError(
            f"{place} holds event files without a scalar{remark}; log some with `add_scalar`"
        )
    if unit == "step":
        series, unit = numbered(series)
    facts = {"source/remark": "; ".join(it.remarks)[:LONGEST_REMARK]} if it.remarks else {}
    return assembled(name, series, "tensorboard", recipe=it.recipe, facts=facts, unit=unit)


def _folder(folder: Path, files: list[Path]) -> Folder:
    log = EventLog()
    for file in files:
        log.add(file)
    trial: dict[str, Scalar] = {}
    for content in log.hparams:
        trial |= _settings(content)
    return Folder(log.scalars(), _beside(folder) | trial, log.remarks, bool(trial))


def _beside(folder: Path) -> dict[str, Scalar]:
    return flattened(yaml_settings(folder / "hparams.yaml"))


def _settings(content: bytes) -> dict[str, Scalar]:
    """The settings the hparams plugin was told at the start of a session."""
    found: dict[str, Scalar] = {}
    try:
        for start, stop in _inside(content, 0, len(content), 3):  # SessionStartInfo
            for first, last in _inside(content, start, stop, 1):  # a key and its value
                key, value = "", None
                for number, wire, a, b in fields(content, first, last):
                    if (number, wire) == (1, BYTES):
                        key = text(content, a, b)
                    elif (number, wire) == (2, BYTES):
                        value = _setting(content, a, b)
                if value is not None and len(found) < MOST_SETTINGS:
                    found[key] = value
    except WireError:
        return {}
    return flattened(found)


def _inside(data: bytes, start: int, stop: int, wanted: int) -> Iterator[tuple[int, int]]:
    for number, wire, first, last in fields(data, start, stop):
        if (number, wire) == (wanted, BYTES):
            yield first, last


def _setting(data: bytes, start: int, stop: int) -> Scalar | None:
    """A `google.protobuf.Value`: null, number, text or truth. Whole numbers are told by value."""
    for number, wire, first, last in fields(data, start, stop):
        value = value_of(data, wire, first, last)
        if number == 2 and isinstance(value, float):
            return int(value) if value.is_integer() and abs(value) < 2**53 else value
        if number == 3 and isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        if number == 4 and isinstance(value, int):
            return bool(value)
    return None


def _all_below(top: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Every directory at or below `top` with event files, and these."""
    for looked, (folder, below, _) in enumerate(os.walk(top)):
        here = Path(folder)
        if looked == MOST_FOLDERS:
            raise UnreadableRunError(f"{top} has more than {MOST_FOLDERS:,} folders; give a part")
        deep = len(here.relative_to(top).parts) >= DEEPEST
        below[:] = [] if deep else sorted(name for name in below if not name.startswith("."))
        if files := _event_files(here):
            yield here, files


def _event_files(folder: Path) -> list[Path]:
    """The event files of a directory in the order they were begun; empty ones too."""
    try:
        with os.scandir(folder) as entries:
            names = [e.name for e in entries if "tfevents" in e.name]
    except OSError:
        return []
    files = [folder / name for name in sorted(names, key=_natural)]
    return [file for file in files if _is_event_file(file) or _is_empty(file)]


def _natural(name: str) -> list[tuple[int, str]]:
    """Names with numbers in them in the order of the numbers."""
    return [(len(part) if part.isdecimal() else 0, part) for part in re.split(r"(\d+)", name)]


def _is_event_file(path: Path) -> bool:
    start = head(path, BEFORE + 1)
    return len(start) > BEFORE and start[BEFORE] == WALL_TIME_KEY and begins(start)


def _is_empty(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size == 0
    except OSError:
        return False


def _folders(path: Path) -> list[Path]:
    try:
        with os.scandir(path) as entries:
            return [path / e.name for e in entries if e.is_dir(follow_symlinks=False)]
    except OSError:
        return []


tensorboard = Source("tensorboard", knows, read)
