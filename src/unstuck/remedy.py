"""The shape of a remedy: what kind of change answers a finding, and its numbers for this run."""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from unstuck.records import Finding, Run, Treatment

Safety = Literal["safe", "changes-training", "advice"]
Body = Callable[[Run, Finding], Iterable[Treatment]]


@dataclass(frozen=True, slots=True)
class Remedy:
    """A function from (run, finding) to treatments, and the codes it answers.

    A remedy of safety "advice" yields nothing: only a person can apply it.
    """

    answers: tuple[str, ...]
    safety: Safety
    function: Body

    @property
    def name(self) -> str:
        return self.function.__name__.replace("_", "-")

    @property
    def page(self) -> str:
        """The docstring of the remedy's file, which is also its page in the docs."""
        return sys.modules[self.function.__module__].__doc__ or ""

    def __call__(self, run: Run, finding: Finding) -> list[Treatment]:
        return list(self.function(run, finding))


def remedy(*answers: str, safety: Safety) -> Callable[[Body], Remedy]:
    """Tag a function as a remedy. Nothing is registered: unstuck.catalog finds it."""
    return lambda function: Remedy(answers, safety, function)
