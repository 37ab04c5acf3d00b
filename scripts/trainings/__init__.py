"""Small real trainings, sick ones with the code a correct diagnosis names and healthy ones.

One file a family; every function is one training, from its data to its last step, on one core in
seconds. `expected` is the planted code, or None for a healthy run.
"""

from collections.abc import Callable
from dataclasses import dataclass

Body = Callable[[], None]


@dataclass(frozen=True)
class Training:
    body: Body
    expected: str | None

    @property
    def name(self) -> str:
        return self.body.__name__


def sick(code: str) -> Callable[[Body], Training]:
    """Tag a training with the code it was given on purpose."""
    return lambda body: Training(body, code)


def healthy(body: Body) -> Training:
    """Tag a training in which nothing is wrong."""
    return Training(body, None)
