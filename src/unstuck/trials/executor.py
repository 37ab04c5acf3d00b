"""The shape of an executor: the one place that knows where the runs of a trial take place."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from unstuck.records import Outcome, Recipe


@dataclass(frozen=True, slots=True)
class Job:
    """One run to do: an arm's whole recipe, a seed, and a folder for its files."""

    arm: str
    recipe: Recipe
    seed: int
    folder: Path


class Executor(Protocol):
    """Carries out jobs, several at a time. Everything it started has ended once `stop` returns."""

    @property
    def places(self) -> int:
        """Jobs that can run at the same time now; it may change while a trial runs."""
        ...

    def start(self, job: Job) -> None:
        """Begin a job; called while fewer than `places` are running."""
        ...

    def running(self) -> Sequence[Job]:
        """The jobs begun and not ended."""
        ...

    def finished(self) -> Sequence[Outcome]:
        """What came of the jobs that have ended since the last call; does not wait.

        Raises PlanError where no arm could ever give a result.
        """
        ...

    def cancel(self, job: Job) -> None:
        """End a running job; nothing comes of it."""
        ...

    def stop(self) -> None:
        """End everything that runs."""
        ...
