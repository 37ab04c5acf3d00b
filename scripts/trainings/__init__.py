"""Small real trainings, sick ones with the code a correct diagnosis names and healthy ones.

One file a family; every function is one training, from its data to its last step, on one core in
seconds. `expected` is the planted code, or None for a healthy run.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Body = Callable[[], None]


@dataclass(frozen=True)
class Training:
    """`recipe` is what the script would write beside its log."""

    body: Body
    expected: str | None
    recipe: Mapping[str, float | str] = field(default_factory=dict)

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
