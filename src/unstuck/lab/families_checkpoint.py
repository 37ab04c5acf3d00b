"""A checkpoint as people have it -> the recipe of the weights in it.

Weights lie anywhere in nested mappings, beside optimizer state and averaged copies, under names
with prefixes of wrappers ("module.", "_orig_mod.", "netG."). What comes from a file is untrusted:
nothing is unpickled but tensors and plain containers, and no tensor's numbers are read.
"""

import re
import time
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unstuck.lab.families import (
    Family,
    Recovery,
    Search,
    Shape,
    Shapes,
    recovered_shapes,
    shapes_of,
)

DEEPEST = 6  # mappings within mappings that are looked into
MOST_TENSORS = 200_000
MOST_HEADER = 2**28  # bytes of a checkpoint's names and shapes
WRAPPERS = re.compile(
    r"(?:^|(?<=\.))(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\."
)
SECONDS = 60.0  # for a search where nothing else is asked
TRIED = 3  # parts of a checkpoint that are searched in full


class UnreadableCheckpointError(ValueError):
    """A file that is no checkpoint, is damaged, or holds what cannot be read safely."""


@dataclass(frozen=True, slots=True)
class Part:
    """Weights found in a checkpoint: where, their names without prefix, and what lies beside."""

    where: str
    shapes: Shapes
    beside: tuple[str, ...]
    share: float  # of the family's usual names that are there


def recovered(state: Mapping[str, Any], family: Family, *, seconds: float = SECONDS) -> Recovery:
    """The options of a family that a checkpoint's weights were built with.

    `state`: a state dict, or a checkpoint that holds some. Where several parts fit (the weights
    and their average), the first of the best is taken. ValueError for none with tensors.
    """
    search = Search(family, time.monotonic() + seconds)
    parts = parts_of(state, _usual(search))
    if not parts:
        raise ValueError("the checkpoint holds no tensors with names")
    best: Recovery | None = None
    for part in parts[:TRIED]:
        found = _of_part(part, search)
        if best is None or len(found.differences) < len(best.differences):
            best = found
        if found.exact:
            break
    assert best is not None
    built = shapes_of(family, best.recipe) or {}
    alike = [p.where for p in parts if p.where != best.part and p.shapes == built]
    return replace(best, beside=(*best.beside, *(f"{where} (the same shapes)" for where in alike)))


def _of_part(part: Part, search: Search) -> Recovery:
    """Its recipe; single numbers that no recipe has (n_averaged, total_ops) are no weights."""
    found, beside = recovered_shapes(part.shapes, search), part.beside
    if not found.exact:
        built = shapes_of(search.family, found.recipe) or {}
        counters = tuple(n for n, shape in part.shapes.items() if not shape and n not in built)
        if counters:
            weights = {n: shape for n, shape in part.shapes.items() if n not in counters}
            found, beside = recovered_shapes(weights, search), (*beside, *counters[:TRIED])
    return replace(found, part=part.where, beside=beside)


def recovered_from_file(path: str | Path, family: Family, *, seconds: float = SECONDS) -> Recovery:
    """The same for a file of torch.save or safetensors; UnreadableCheckpointError if it is none."""
    return recovered(shapes_in_file(Path(path)), family, seconds=seconds)


def shapes_in_file(path: Path) -> Mapping[str, Any]:
    """What a checkpoint holds, its tensors without their numbers."""
    if not path.is_file():
        raise UnreadableCheckpointError(f"{path} is no file")
    if path.suffix == ".safetensors":
        return _safetensors(path)
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                names = [i for i in archive.infolist() if i.filename.endswith("data.pkl")]
            if sum(i.file_size for i in names) > MOST_HEADER:
                raise UnreadableCheckpointError(f"{path}: names and shapes take more than 256 MiB")
        elif path.stat().st_size > 16 * MOST_HEADER:
            raise UnreadableCheckpointError(f"{path} is too large for the old format: save it anew")
        found = torch.load(path, map_location="meta", weights_only=True)
    except UnreadableCheckpointError:
        raise
    except Exception as error:  # whatever a damaged file makes of the reader
        reason = " ".join(str(error).split())
        if "weights_only" in reason.lower() or "Unsupported" in reason:
            reason = "it holds pickled objects; save model.state_dict() instead of the model"
        raise UnreadableCheckpointError(
            f"{path} is damaged or no checkpoint: {reason[:200] or type(error).__name__}"
        ) from None
    if isinstance(found, Tensor) or not isinstance(found, Mapping):
        raise UnreadableCheckpointError(f"{path} holds a {type(found).__name__}, no state dict")
    return found


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        from safetensors import safe_open
    except ImportError:
        raise UnreadableCheckpointError(
            f"{path} needs the safetensors library: pip install safetensors"
        ) from None
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            shapes = [tuple(file.get_slice(name).get_shape()) for name in names]
            return {n: torch.empty(s, device="meta") for n, s in zip(names, shapes, strict=True)}
    except Exception as error:  # likewise
        reason = " ".join(str(error).split())[:200]
        raise UnreadableCheckpointError(f"{path} is damaged: {reason}") from None


def parts_of(state: Mapping[str, Any], usual: Shapes) -> list[Part]:
    """The groups of named tensors in a checkpoint, those that look most like the family first."""
    found: list[Part] = []
    for where, tensors in _mappings(state, "", DEEPEST):
        if len(tensors) > MOST_TENSORS:
            raise ValueError(f"{where or 'the checkpoint'} holds {len(tensors)} tensors")
        named = {WRAPPERS.sub("", name): shape for name, shape in tensors.items()}
        for prefix in _prefixes(named, usual):
            inside = {n.removeprefix(prefix): s for n, s in named.items() if n.startswith(prefix)}
            beside = [name for name in named if not name.startswith(prefix)]
            share = len(inside.keys() & usual.keys()) / max(1, len(inside.keys() | usual.keys()))
            place = f"{where}{'.' if where and prefix else ''}{prefix}".rstrip(".")
            found.append(Part(place, inside, tuple(beside[:TRIED]), share))
    return sorted(found, key=lambda part: -part.share)


def _mappings(value: Any, where: str, depth: int) -> Iterator[tuple[str, dict[str, Shape]]]:
    if not isinstance(value, Mapping) or depth < 0:
        return
    tensors = {
        name: tuple(tensor.shape)
        for name, tensor in value.items()
        if isinstance(name, str) and isinstance(tensor, Tensor)
    }
    if tensors:
        yield where, tensors
    for key, inner in value.items():
        if isinstance(key, str):
            yield from _mappings(inner, f"{where}.{key}" if where else key, depth - 1)


def _prefixes(named: Shapes, usual: Shapes) -> list[str]:
    """The beginnings after which the names are the family's, the commonest first."""
    counts: Counter[str] = Counter()
    for name in named:
        at = 0
        while True:
            if name[at:] in usual:
                counts[name[:at]] += 1
            at = name.find(".", at) + 1
            if not at:
                break
    return [prefix for prefix, _ in counts.most_common(TRIED)] or [""]


def _usual(search: Search) -> Shapes:
    """Names of the family's weights: those of its first recipe and of each option changed alone."""
    first = (0,) * len(search.family.options)
    found: dict[str, Shape] = {}
    for option in range(len(first)):
        for at in search.near(first, [option]):
            found = {**(search.shapes(at) or {}), **found}
    return found
