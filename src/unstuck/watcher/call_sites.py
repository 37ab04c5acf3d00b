"""Names for the places a function is called from: `cross_entropy`, `cross_entropy.2`, ..."""

from types import CodeType

from unstuck.watcher.naming import caller

MOST_SITES = 16  # of one run; a script that calls a loss in more places is read as far as that


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
