"""Small real trainings, sick ones with the code a correct diagnosis names and healthy ones.

One file a family; every function is one training, from its data to its last step, on one core in
seconds. `expected` is the planted code, or None for a healthy run.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

Body = Callable[[], None]


@dataclass(frozen=True)
class Training:
    """`recipe` is what the script would write beside its log.

    `ranks`: as many processes run the body, joined in a group. `keeps`: beginnings of names of
    series that differ from machine to machine and are kept all the same, for ratios of them.
    """

    body: Body
    expected: str | None
    recipe: Mapping[str, float | str] = field(default_factory=dict)
    ranks: int = 1
    keeps: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.body.__name__


def sick(code: str, **recipe: float | str) -> Callable[[Body], Training]:
    """Tag a training with the code it was given on purpose."""
    return lambda body: Training(body, code, recipe)


def healthy(body: Body) -> Training:
    """Tag a training in which nothing is wrong."""
    return Training(body, None)


def healthy_with(**recipe: float | str) -> Callable[[Body], Training]:
    """The same for one whose settings are known."""
    return lambda body: Training(body, None, recipe)


def among(ranks: int, *keeps: str) -> Callable[[Training], Training]:
    """Let so many processes train together; above the tag that says what is wrong."""
    return lambda training: replace(training, ranks=ranks, keeps=keeps)


def keeping(*keeps: str) -> Callable[[Training], Training]:
    """Keep series of times or bytes; above the tag that says what is wrong."""
    return lambda training: replace(training, keeps=keeps)
