"""One training that a trainer's callback records: begun with it, ended with it, however it ends."""

import atexit
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn
from torch.optim import Optimizer

from unstuck.integrations.sink import Mirror, Sink
from unstuck.records import Scalar
from unstuck.watcher.attach import Watcher
from unstuck.watcher.session import watch
from unstuck.watcher.trainer_logs import logs, series

MOST_SETTINGS = 200


class Training:
    """Watches from `begin` to `end`. Under `unstuck run` it joins that recording.

    Nothing of it raises: where a run cannot be recorded, that is said once and training goes on.
    """

    def __init__(
        self,
        *,
        out: str | Path | None = None,
        name: str = "",
        sink: Sink | None = None,
        **options: Any,
    ) -> None:
        self.run: Watcher | None = None
        self._out, self._name, self._options = out, name, options
        self._sink = sink
        self._mirror: Mirror | None = None
        self._mine = False

    def begin(
        self,
        models: Mapping[str, nn.Module] | None = None,
        optimizers: Mapping[str, Optimizer] | None = None,
        recipe: Mapping[str, Any] | None = None,
        resumed: int = 0,
    ) -> None:
        """Attach; `resumed` is the step a checkpoint was taken at that training goes on from."""
        self.end()
        try:
            self.run = watch(
                models,
                optimizers,
                out=self._out,
                name=self._name,
                recipe=settings(recipe or {}),
                **self._options,
            )
        except (OSError, RuntimeError, ValueError) as error:
            print(f"unstuck: cannot record ({error}); training goes on unwatched", file=sys.stderr)
            return
        self._mine = not self.run.joinable
        logs.told = True
        if resumed:
            self.run.note({"resumed/step": resumed})
        if self._sink is not None:
            self._mirror = Mirror(self.run, self._sink)
            self._mirror.start()
        if self._mine:
            atexit.register(self._end_of_process)

    def metrics(self, values: Mapping[str, Any], split: str = "") -> None:
        """Record what the trainer has measured; `split` (train, val) says it better than names."""
        if self.run is not None and self.run.attached:
            numbers = {key: n for key, v in values.items() if (n := number(v)) is not None}
            self.run.log(**series(numbers, split))

    def end(self, error: BaseException | None = None) -> None:
        """Stop watching, write what is left and tell the dashboard. Safe to call twice."""
        run, self.run = self.run, None
        mirror, self._mirror = self._mirror, None
        if run is None:
            return
        logs.told = False
        atexit.unregister(self._end_of_process)
        if error is not None:
            run.note({"exit/exception": f"{type(error).__name__}: {error}"[:1000]})
        if self._mine:
            run.close()
        if mirror is not None:
            mirror.stop()

    def _end_of_process(self) -> None:
        """A trainer without a callback for errors: its process has ended, or its last error."""
        self.end(getattr(sys, "last_value", None))


def number(value: object) -> float | None:
    """A metric's value as a number; None for what is none (text, tables, tensors of many)."""
    if isinstance(value, str | bytes) or getattr(value, "numel", int)() > 1:
        return None
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None


def settings(recipe: Mapping[str, Any]) -> dict[str, Scalar]:
    """What was asked for, as far as it is numbers and short texts."""
    found: dict[str, Scalar] = {}
    for key, value in recipe.items():
        if isinstance(value, float) and not math.isfinite(value):
            continue
        if isinstance(value, bool | int | float | str) and len(str(value)) <= 200:
            found[str(key)[:100]] = value
        if len(found) >= MOST_SETTINGS:
            break
    return found
