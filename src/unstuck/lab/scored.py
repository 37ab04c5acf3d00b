"""The loss of a subject as a score that can be taken again and again under changes."""

import contextlib
import math
from collections.abc import Iterator

import torch

from unstuck.experiment import NotProbed
from unstuck.lab.executed import recorded
from unstuck.lab.executed_again import Changes, again
from unstuck.lab.executed_graph import Graph
from unstuck.lab.subject import TOTAL, Subject
from unstuck.lab.untouched import untouched

SEED = 0
SAME = 1e-5  # relative difference of two runs that are alike

Scores = dict[str, float]


class Scored:
    """Losses by name, in evaluation mode, without gradients and with one random seed.

    A loss that cannot be had in evaluation mode, or that takes gradients itself, is taken as it
    is in training. Where a run leaves its traces (a queue, running statistics), each begins as
    the first one did.
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.evaluating, self.gradients = True, False
        self.fresh = True  # each run begins as the first one did
        self.intact = self._first()
        second = self._raw()
        self.fresh = any(
            not math.isclose(second[name], value, rel_tol=SAME)
            for name, value in self.intact.items()
        )

    def scores(self, changes: Changes | None = None) -> Scores:
        """The terms of the loss, and the loss."""
        if not self.fresh:
            return self._raw(changes)
        subject = self.subject
        with untouched((subject.model, *subject.others)):
            return self._raw(changes)

    def graph(self) -> Graph:
        """What the loss's calls of the model execute."""
        subject = self.subject
        with untouched((subject.model, *subject.others)), self._set():
            return recorded(subject.terms, subject.model, subject.batch)

    def at_use(self) -> float:
        """The loss with nothing but what is known at use."""
        assert self.subject.at_use is not None
        with self._set():
            found = self.subject.at_use(self.subject.model, self.subject.batch)
            return float(found.detach())

    def _raw(self, changes: Changes | None = None) -> Scores:
        with self._set():
            found = again(self.subject.terms, changes or {})
            return {name: float(value.detach()) for name, value in found.items()}

    def _first(self) -> Scores:
        """The first way to run the loss that works: in evaluation mode, without gradients."""
        ways = ((True, False), (True, True), (False, True))
        for way in ways:
            self.evaluating, self.gradients = way
            try:
                return self.scores()
            except NotProbed:
                raise
            except (RuntimeError, ValueError, TypeError, KeyError, AttributeError, IndexError):
                if way == ways[-1]:
                    raise
        raise AssertionError("one of the ways was returned or has raised")

    @contextlib.contextmanager
    def _set(self) -> Iterator[None]:
        mode = self.subject.evaluating() if self.evaluating else contextlib.nullcontext()
        torch.manual_seed(SEED)
        with mode, torch.set_grad_enabled(self.gradients):
            yield


def is_sum(scores: Scores) -> bool:
    """Whether the loss is the sum of its terms."""
    parts = [value for name, value in scores.items() if name != TOTAL]
    return bool(parts) and math.isclose(sum(parts), scores[TOTAL], rel_tol=1e-4, abs_tol=1e-8)
