"""Driving on a winding road in gusts of wind, many cars at once; what a camera sees of the line.

A car has an offset from the middle of the road and a heading against it; the road's half width is
1. The camera has three rows, at three distances ahead, each a row of pixels in which the middle
line is a narrow bump. The expert knows offset, heading and curvature themselves.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Driver = Callable[[Array, Array], Array]  # camera (n, PIXELS), car (n, 3) -> steering (n,)
AHEAD = np.array([0.3, 1.0, 2.0])
COLUMNS = np.linspace(-2, 2, 21)
PIXELS = len(AHEAD) * len(COLUMNS)
PACE, SHARPEST = 0.1, 0.6  # way a step; largest steering, curvature


class Roads:
    """`count` cars, each on a road of its own."""

    def __init__(self, count: int, wind: float, random: np.random.Generator) -> None:
        self.random, self.wind = random, wind
        self.car = np.zeros((count, 3))  # offset, heading, curvature
        self.car[:, :2] = 0.05 * random.standard_normal((count, 2))
        self.gust, self.way = np.zeros(count), 0.0
        self.pitch = random.uniform(0.1, 0.5, (count, 3))
        self.phase = random.uniform(0, 2 * np.pi, (count, 3))
        self._bend()

    def camera(self) -> Array:
        """(n, PIXELS): where the line lies on each row, as a bump of 1."""
        offset, heading, curvature = self.car.T[:, :, None]
        line = -offset - heading * AHEAD + curvature * AHEAD**2 / 2
        return np.exp(-(((line[..., None] - COLUMNS) / 0.15) ** 2) / 2).reshape(len(line), -1)

    def drive(self, steering: Array) -> None:
        """One step of the way; the wind turns the car, too."""
        self.gust = 0.95 * self.gust + 0.31 * self.wind * self.random.standard_normal(
            len(self.gust)
        )
        offset, heading, curvature = self.car.T
        turn = np.clip(steering, -2, 2) - curvature + self.gust
        self.car[:, 0] = offset + PACE * np.sin(heading)
        self.car[:, 1] = np.clip(heading + PACE * turn, -1.5, 1.5)
        self.way += PACE
        self._bend()

    def _bend(self) -> None:
        self.car[:, 2] = SHARPEST * np.sin(self.pitch * self.way + self.phase).mean(1)


def expert(_: Array, car: Array) -> Array:
    """Follow the bend, and go back to the middle."""
    offset, heading, curvature = car.T
    return np.clip(curvature - 1.5 * offset - 2.0 * heading, -2, 2)


def driven(
    driver: Driver, count: int, steps: int, wind: float, random: np.random.Generator
) -> tuple[Array, Array, Array]:
    """What was seen (steps, n, PIXELS), cars (steps, n, 3), and which were never off so far."""
    roads = Roads(count, wind, random)
    seen, cars = [], []
    for _ in range(steps):
        seen.append(roads.camera())
        cars.append(roads.car.copy())
        roads.drive(driver(seen[-1], cars[-1]))
    on = np.abs(np.array(cars)[:, :, 0]) <= 1
    return np.array(seen), np.array(cars), np.logical_and.accumulate(on, 0)
