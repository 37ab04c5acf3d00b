"""What a trainer (Lightning, Transformers) has logged: found in the call stack, and only read."""

import weakref
from collections.abc import Mapping
from functools import lru_cache
from types import FrameType
from typing import Any

from unstuck import naming
from unstuck.words import LOSS, METRIC, SPEED, words_of

WATCHED = (naming.LEARNING_RATE, naming.GRADIENT_NORM, naming.STEP_TIME)  # the hooks know better
SUMMARY = "train_runtime"  # stands in Transformers' last log, with means over the whole training
LIGHTNING = ("lightning.pytorch.trainer.trainer", "pytorch_lightning.trainer.trainer")
TRANSFORMERS = ("transformers.trainer",)
DEEPEST = 80  # frames that are looked through for a trainer


class TrainerLogs:
    """Reads what is new in the logs of the trainer that runs; changes and computes nothing."""

    def __init__(self) -> None:
        self.told = False  # a callback takes the metrics over
        self._trainer: weakref.ref[Any] | None = None
        self._entries = 0
        self._last: dict[str, Any] = {}

    def forget(self) -> None:
        """A run begins: its trainer is yet to be found."""
        self._trainer = None

    @property
    def known(self) -> bool:
        return self._trainer is not None and self._trainer() is not None

    def look(self, frame: FrameType | None) -> None:
        """Find the trainer among those that called this frame."""
        for _ in range(DEEPEST):
            if frame is None:
                return
            if frame.f_code.co_filename.endswith("trainer.py"):
                owner = frame.f_locals.get("self")
                if _is_one_of(owner, LIGHTNING) or _is_one_of(owner, TRANSFORMERS):
                    self._trainer = weakref.ref(owner)
                    self._entries, self._last = len(_history(owner)), {}
                    return
            frame = frame.f_back

    def news(self) -> dict[str, Any]:
        """Validation metrics since the last call, by series; values may be tensors."""
        trainer = self._trainer() if self._trainer is not None and not self.told else None
        if trainer is None:
            return {}
        found: dict[str, Any] = {}
        history = _history(trainer)
        for entry in history[self._entries :]:
            if SUMMARY not in entry:
                found |= {name: value for key, value in entry.items() if (name := _validation(key))}
        self._entries = len(history)
        connector = getattr(trainer, "_logger_connector", None)
        logged: Mapping[str, Any] = getattr(connector, "_callback_metrics", {})
        for key, value in logged.items():
            if (name := _validation(key)) and self._last.get(name) is not value:
                found[name] = self._last[name] = value
        return found


logs = TrainerLogs()  # one run at a time is watched


def series(values: Mapping[str, Any], split: str = "") -> dict[str, Any]:
    """Metrics by the names of the glossary, in the split given or the one their names say.

    >>> series({"val/acc": 0.5, "eval_loss": 2.0, "lr": 0.1, "epoch": 1.0, "eval_runtime": 3.0})
    {'metric/val/acc': 0.5, 'metric/val/loss': 2.0, 'epoch': 1.0}
    >>> series({"accuracy": 0.5, "valid_f1": 0.2}, "val")
    {'metric/val/accuracy': 0.5, 'metric/val/f1': 0.2}
    """
    found = {}
    for key, value in values.items():
        (named,) = naming.named([key]).values()
        words = set(words_of(key))
        if named.role == naming.EPOCH:
            found["epoch"] = value
        elif named.role == naming.LOSS_SCALE:
            found[named.name] = value
        elif named.role not in WATCHED and not (words & SPEED and not words & (LOSS | METRIC)):
            side = split or ("val" if named.role == naming.VALIDATION else "train")
            found[f"metric/{side}/{named.name.rsplit('/', 1)[-1]}"] = value
    return found


@lru_cache(maxsize=1000)
def _validation(key: str) -> str:
    """The series of a validation metric by its name in a log; empty for anything else."""
    return next((name for name in series({key: 0.0}) if name.startswith("metric/val/")), "")


def _history(trainer: Any) -> list[dict[str, Any]]:
    """What a Trainer of Transformers has logged so far; of Lightning's, nothing."""
    history = getattr(getattr(trainer, "state", None), "log_history", None)
    return history if isinstance(history, list) else []


def _is_one_of(owner: object, modules: tuple[str, ...]) -> bool:
    return any(k.__name__ == "Trainer" and k.__module__ in modules for k in type(owner).__mro__)
