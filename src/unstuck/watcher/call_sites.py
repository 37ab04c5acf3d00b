"""Names for the places a function is called from: `cross_entropy`, `cross_entropy.2`, ...

And how often what happens in such a place is read, which costs more than a step of a small model.
"""

from types import CodeType

from unstuck.watcher.naming import caller

MOST_SITES = 16  # of one run; a script that calls a loss in more places is read as far as that

DENSE = 5  # first looks at one place, each of which is read
SPARSE = 2  # from then on, one of so many


class Looks:
    """Counts the looks at each place and says which of them are worth their cost."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def wanted(self, place: str) -> bool:
        """Whether this look, which is counted, is one to be read."""
        count = self._counts.get(place, 0)
        self._counts[place] = count + 1
        return count < DENSE or count % SPARSE == 0


class CallSites:
    """Two places of the user's code never share a name; one place keeps its name."""

    def __init__(self) -> None:
        self._names: dict[tuple[CodeType, int, str], str] = {}
        self._counts: dict[str, int] = {}

    def name(self, function: str) -> str | None:
        """The name of the place in the user's code that calls now; None where there is none."""
        frame = caller(1)
        if frame is None:
            return None
        place = (frame.f_code, frame.f_lasti, function)
        if place not in self._names:
            if len(self._names) >= MOST_SITES:
                return None
            count = self._counts[function] = self._counts.get(function, 0) + 1
            self._names[place] = function if count == 1 else f"{function}.{count}"
        return self._names[place]
