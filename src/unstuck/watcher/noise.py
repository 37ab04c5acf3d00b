"""Whether a loss leaves its own noise, told value by value at next to no cost."""

import math

MEMORY = 64  # readings over which level and noise are remembered
FAR = 8.0  # mean distances from the level: a Gaussian gets as far once in 10^10 readings


class Noise:
    """Level and mean distance from it, by name, both forgetting at one rate."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, float, float]] = {}

    def left(self, name: str, value: float) -> bool:
        """Take in one more value; True where it is far out of what came before, or not finite."""
        count, level, distance = self._known.get(name, (0, value, 0.0))
        if not math.isfinite(value):
            return True
        if not math.isfinite(level):
            count, level = 0, value
        off = abs(value - level)
        far = count >= MEMORY and off > FAR * distance
        rate = 1 / min(count + 1, MEMORY)
        self._known[name] = (
            count + 1,
            level + rate * (value - level),
            distance + rate * (off - distance),
        )
        return far
