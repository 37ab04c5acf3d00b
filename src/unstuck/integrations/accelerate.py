"""Accelerate: `Accelerator(log_with=[UnstuckTracker()])` records from `init_trackers` on.

It ends with `accelerator.end_training()`, else with the process. What `accelerator.log` is given
is recorded, too. Every process records itself. Models, optimizers and losses get the names they
have in the script.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelerate.tracking import GeneralTracker  # type: ignore[import-not-found, unused-ignore]

from unstuck.integrations.sink import Sink
from unstuck.integrations.training import Training, settings
from unstuck.watcher.attach import Watcher


class UnstuckTracker(GeneralTracker):  # type: ignore[misc, unused-ignore]
    """A tracker that watches as `unstuck.watch` does.

    `out`, `name` and `recipe` are those of `unstuck.watch`; `resumed` is the step a checkpoint was
    taken at that training goes on from; `sink` is a dashboard that is told, too.
    """

    name = "unstuck"
    requires_logging_directory = False
    main_process_only = False

    def __init__(
        self,
        out: str | Path | None = None,
        name: str = "",
        *,
        recipe: Mapping[str, Any] | None = None,
        resumed: int = 0,
        sink: Sink | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self._training = Training(out=out, name=name, sink=sink, **options)
        self._recipe, self._resumed = dict(recipe or {}), resumed

    @property
    def tracker(self) -> Watcher | None:
        """The run that is recorded."""
        return self._training.run

    def start(self) -> None:
        self._training.begin(recipe=self._recipe, resumed=self._resumed)

    def store_init_configuration(self, values: Mapping[str, Any]) -> None:
        """What `init_trackers` is told is noted; `recipe` says it before the run begins."""
        if self.tracker is not None:
            known = settings(values)
            self.tracker.note({f"recipe/{key}": value for key, value in known.items()})

    def log(self, values: Mapping[str, Any], step: int | None = None, **options: Any) -> None:
        self._training.metrics(values)

    def finish(self) -> None:
        self._training.end()
