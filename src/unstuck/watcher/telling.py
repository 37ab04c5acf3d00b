"""What a script tells of itself: to the run that is watched, and to nobody where none is.

So the lines can stay in a script for good: unwatched, each is a look into a dict. Nothing here
loads torch or the watcher; who has not loaded it is not watched by it.
"""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from unstuck.watcher.told import Told


def embedding(name: str, codes: "Tensor") -> None:
    """Tell of representations or codes (n, d), one row a sample. Nothing happens unwatched."""
    if run := _watched():
        run.embedding(name, codes)


def pair(first: str, one: "Tensor", second: str, other: "Tensor") -> None:
    """Tell of two modalities' embeddings (n, d) each, row i of both of the same sample.

    Nothing happens unwatched.
    """
    if run := _watched():
        run.pair(first, one, second, other)


def pool(losses: "Tensor", name: str = "pool") -> None:
    """Tell of the losses (n,) of the samples kept in a pool or a replay buffer.

    Nothing happens unwatched.
    """
    if run := _watched():
        run.pool(losses, name)


def targets(similarities: "Tensor", name: str = "targets") -> None:
    """Tell of what is to be reached: similarity targets (n, n), or any target tensor.

    Nothing happens unwatched.
    """
    if run := _watched():
        run.targets(similarities, name)


def generated(samples: "Tensor", name: str = "generated") -> None:
    """Tell of a generator's output (n, ...), one sample a row. Nothing happens unwatched."""
    if run := _watched():
        run.generated(samples, name)


def _watched() -> "Told | None":
    session = sys.modules.get("unstuck.watcher.session")
    run: Told | None = session.watched_now() if session else None
    return run
