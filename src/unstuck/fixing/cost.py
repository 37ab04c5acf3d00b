"""What a fix will cost at most, known before it is spent, and how it is made to fit a budget."""

import math
from dataclasses import dataclass

from unstuck.fixing.race import runs_of
from unstuck.fixing.ranks import FEWEST

WORTH_RACING = 2  # candidates kept before pairs of the confirmation are given up


@dataclass(frozen=True, slots=True)
class Cost:
    """Runs at most; `seconds` is what one took."""

    candidates: int
    pairs: int
    seconds: float
    workers: int

    @property
    def race(self) -> int:
        return runs_of(self.candidates)

    @property
    def confirmation(self) -> int:
        return 2 * max(self.pairs, FEWEST)

    @property
    def runs(self) -> int:
        return self.race + self.confirmation

    @property
    def wall(self) -> float:
        """Seconds, if every run takes as long as the first one."""
        return self.runs * self.seconds / self.workers

    @property
    def told(self) -> str:
        return (
            f"At most {self.runs} runs ({self.race} in the race, {self.confirmation} in the "
            f"confirmation), about {self.wall:,.0f} s with {self.workers} at a time"
        )


def fitted(cost: Cost, runs: int | None, budget: float | None) -> Cost:
    """The cost made to fit: fewer candidates first, then fewer pairs, then no race to speak of.

    `runs` and `budget` (seconds) do not count the first run. Raises ValueError where even one
    candidate and the fewest pairs a verdict can come from are too many.
    """
    most = math.inf if runs is None else runs
    if budget is not None:
        most = min(most, budget * cost.workers / max(cost.seconds, 1e-3))
    for candidates, pairs in _smaller(cost):
        smaller = Cost(candidates, pairs, cost.seconds, cost.workers)
        if smaller.runs <= most:
            return smaller
    least = Cost(1, min(FEWEST, cost.pairs), cost.seconds, cost.workers)
    raise ValueError(
        f"the budget is too small: one candidate takes {least.runs} runs, about "
        f"{least.wall:.0f} s with {least.workers} at a time"
    )


def _smaller(cost: Cost) -> list[tuple[int, int]]:
    """(candidates, pairs), in the order in which they are given up."""
    few = min(WORTH_RACING, cost.candidates)
    fewest = min(FEWEST, cost.pairs)
    by_candidates = [(k, cost.pairs) for k in range(cost.candidates, few - 1, -1)]
    by_pairs = [(few, pairs) for pairs in range(cost.pairs - 1, fewest - 1, -1)]
    return [*by_candidates, *by_pairs, (1, fewest)]
