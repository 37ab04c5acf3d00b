"""Checkpoints: written whole or not at all, and read back without trusting them."""

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

LARGEST = 4 << 30  # bytes of a file that is read


class NotSavedError(OSError):
    """A file could not be written; what was there before still is."""


def save(file: Path, state: object) -> None:
    """Writes a checkpoint beside the last one, then in its place; NotSavedError leaves that."""
    beside = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as out:
            torch.save(state, out)
            out.flush()
            os.fsync(out.fileno())
        beside.replace(file)
    except (OSError, RuntimeError) as error:  # torch's own writer hides the reason
        beside.unlink(missing_ok=True)
        kept = "the last one is still there" if file.exists() else "there is none before it"
        raise NotSavedError(f"{file} could not be written ({error}); {kept}") from None


def read(file: Path, case: str) -> Any:
    """What `save` wrote: tensors and plain values alone; ValueError in one line."""
    if not file.is_file():
        raise ValueError(f"no {file.name} in {file.parent}: is it the folder of a run of {case}?")
    if file.stat().st_size > LARGEST:
        raise ValueError(f"{file} is larger than {LARGEST >> 30} GiB: it is not read")
    try:
        return torch.load(io.BytesIO(file.read_bytes()), map_location="cpu", weights_only=True)
    except Exception as error:  # any bytes may be there, and torch has many ways to say so
        reason = str(error).strip().splitlines()[0][:120] if str(error).strip() else "no reason"
        raise ValueError(f"{file} is damaged or no checkpoint: {reason}") from None


def load_into(model: torch.nn.Module, state: object, file: Path, advice: str = "") -> None:
    """Weights into a network made with other options: ValueError says which weights differ."""
    if not isinstance(state, Mapping) or not all(
        isinstance(v, torch.Tensor) for v in state.values()
    ):
        raise ValueError(f"{file} holds no weights")
    own = model.state_dict()
    wrong = [
        f"{name} {_shape(state.get(name))} instead of {_shape(own.get(name))}"
        for name in [*own, *(n for n in state if n not in own)]
        if _shape(state.get(name)) != _shape(own.get(name))
    ]
    if wrong:
        raise ValueError(
            f"{file} is of other options: {wrong[0]}, and {len(wrong) - 1} more{advice}"
        )
    model.load_state_dict(state)


def _shape(value: torch.Tensor | None) -> str:
    return "nothing" if value is None else "x".join(map(str, value.shape)) or "one number"


def begun(
    file: Path, case: str, recipe: Mapping[str, Any], seed: int, resume: bool
) -> Mapping[str, Any] | None:
    """The state of a training to go on with, None where there is none.

    It holds at least its flat `recipe` and `seed`. ValueError where a run would be lost, or is
    of another recipe.
    """
    if not file.exists():
        return None
    if not resume:
        raise ValueError(
            f"{file.parent} holds a run: --resume goes on with it, or take another folder"
        )
    state = read(file, case)
    if not isinstance(state, dict) or not isinstance(state.get("recipe"), dict):
        raise ValueError(f"{file} is no checkpoint of a {case} training")
    old, new = state["recipe"] | {"seed": state.get("seed")}, {**recipe, "seed": seed}
    other = [f"{key} {old.get(key)!r} -> {new[key]!r}" for key in new if old.get(key) != new[key]]
    if other:
        raise ValueError(f"{file} is of another training: {', '.join(other[:4])}")
    return state
