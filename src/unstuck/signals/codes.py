"""Binary codes: which were recorded, and whether they lie between -1 and 1."""

import re
from collections.abc import Iterator

from unstuck.records import Run, Series
from unstuck.signals.levels import end_level
from unstuck.signals.names import where_of
from unstuck.signals.spans import finite, last_span_beyond, length

BOUND = 1.01  # tanh and sign end at 1, rounding allowed for; other numbers are no codes
BINARY = re.compile(r"hash|bit|binar", re.IGNORECASE)


def bounded_codes(run: Run, statistic: str) -> Iterator[tuple[str, Series]]:
    """Name and `codes/<name>/<statistic>` of codes whose entries end within -1 and 1."""
    for series in run.matching(f"codes/*/{statistic}"):
        name = where_of(series.name)
        largest = run.series.get(f"codes/{name}/largest")
        if largest is not None and end_level(largest) <= BOUND:
            yield name, finite(series)


def meant_as_bits(run: Run, name: str) -> bool:
    """Whether codes are to become bits, by their name or by a loss's term of quantisation.

    A bottleneck between -1 and 1 may be called codes, too; its signs mean nothing.
    """
    return bool(BINARY.search(name)) or bool(run.matching("term/*/*quant*"))


def lasts_above(series: Series, limit: float, steps: float, share: float) -> tuple[int, int] | None:
    """The span to the end of the series above a limit: `steps` and a `share` of the run long."""
    return last_span_beyond(series, ">", limit, at_least=max(steps, share * length(series)))
