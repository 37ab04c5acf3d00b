"""The shape of a probe: an experiment on a live model that yields facts and restores everything."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

Facts = dict[str, float]


@dataclass(frozen=True, slots=True)
class Probe:
    """A function that experiments on live objects and returns facts named `<prefix>/...`."""

    facts: tuple[str, ...]
    function: Callable[..., Facts]

    @property
    def name(self) -> str:
        return self.function.__name__.replace("_", "-")

    @property
    def page(self) -> str:
        """The docstring of the probe's file, which is also its page in the docs."""
        return sys.modules[self.function.__module__].__doc__ or ""

    def __call__(self, *args: object, **options: object) -> Facts:
        return self.function(*args, **options)


def probe(*facts: str) -> Callable[[Callable[..., Facts]], Probe]:
    """Tag a function as a probe that yields facts matching these patterns."""
    return lambda function: Probe(facts, function)
