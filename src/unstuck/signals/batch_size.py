"""Where a batch lies to its gradient noise scale, as the probe `noise-scale` found it."""

from collections.abc import Iterator
from dataclasses import dataclass

from unstuck.records import Run

# Steps needed go with 1 + scale / batch (McCandlish et al. 2018, equation 2.11): a batch ten times
# below the scale, doubled, saves 45 % of the steps; one ten times above, halved, costs 9 % more.
FAR = 10.0


@dataclass(frozen=True, slots=True)
class BatchSize:
    """A model's batch and the interval of its noise scale, in samples; `high` inf for no end.

    `low_fact` and `high_fact` are the names of the facts that say so.
    """

    model: str
    batch: float
    low: float
    high: float
    low_fact: str
    high_fact: str

    @property
    def below(self) -> bool:
        return self.batch < self.low

    @property
    def above(self) -> bool:
        return self.batch > self.high

    @property
    def far_below(self) -> bool:
        return FAR * self.batch < self.low

    @property
    def far_above(self) -> bool:
        return self.batch > FAR * self.high


def batch_sizes(run: Run) -> Iterator[BatchSize]:
    """Of each model whose noise scale was measured."""
    for name in run.facts_matching("noise_scale/*/batch"):
        begin = name.removesuffix("/batch")
        low, high = f"{begin}/low", f"{begin}/high"
        batch, least, most = (run.facts.get(n) for n in (name, low, high))
        if isinstance(batch, int | float) and isinstance(least, int | float) and batch > 0:
            end = float(most) if isinstance(most, int | float) else float("inf")
            model = begin.removeprefix("noise_scale/")
            yield BatchSize(model, float(batch), float(least), end, low, high)
