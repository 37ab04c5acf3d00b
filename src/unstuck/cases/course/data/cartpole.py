"""Many cart-poles at once: the physics of gymnasium's CartPole-v1, a row a cart.

State: position, speed, angle, angular speed. Action: 0 pushes left, 1 pushes right, 10 N for
0.02 s. The pole has fallen beyond 12 degrees, the cart is lost beyond 2.4 m; each step earns 1.
Barto, Sutton, Anderson, "Neuronlike adaptive elements" (1983).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Actions = NDArray[Any]  # (n,), 0 or 1
SCALE = (1.0, 1.0, 0.1, 1.0)  # about the size of each number of a state in play
GRAVITY, CART, POLE, HALF_LENGTH, FORCE, SECONDS = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
FURTHEST, STEEPEST = 2.4, np.radians(12)


def start(count: int, random: np.random.Generator) -> Array:
    """(count, 4): almost upright, almost at rest."""
    return random.uniform(-0.05, 0.05, (count, 4))


def moved(state: Array, action: Actions, wind: Array | float = 0.0) -> tuple[Array, NDArray[Any]]:
    """States after one push (and `wind`, N, on the cart), and which of them have failed."""
    x, speed, angle, turn = state.T
    force = np.where(action == 1, FORCE, -FORCE) + wind
    sine, cosine = np.sin(angle), np.cos(angle)
    pushed = (force + POLE * HALF_LENGTH * turn**2 * sine) / (CART + POLE)
    inertia = HALF_LENGTH * (4 / 3 - POLE * cosine**2 / (CART + POLE))
    turning = (GRAVITY * sine - cosine * pushed) / inertia
    pulled = pushed - POLE * HALF_LENGTH * turning * cosine / (CART + POLE)
    after = np.stack(
        [
            x + SECONDS * speed,
            speed + SECONDS * pulled,
            angle + SECONDS * turn,
            turn + SECONDS * turning,
        ],
        axis=1,
    )
    return after, (np.abs(after[:, 0]) > FURTHEST) | (np.abs(after[:, 2]) > STEEPEST)


def returns(policy: Callable[[Array], Actions], episodes: int, horizon: int, seed: int) -> Array:
    """(episodes,): for how many steps the policy keeps each pole upright, at most `horizon`."""
    state = start(episodes, np.random.default_rng([seed, 1]))
    upright, counted = np.ones(episodes, bool), np.zeros(episodes)
    for _ in range(horizon):
        if not upright.any():
            break
        counted += upright
        state, failed = moved(state, policy(state))
        upright &= ~failed
    return counted


def frames(policy: Callable[[Array], Actions], count: int, seed: int) -> Array:
    """(count, 40, 96) in [0, 1]: one episode drawn, to its end at the latest."""
    state = start(1, np.random.default_rng([seed, 2]))
    rows, columns = np.mgrid[0:40, 0:96]
    drawn = []
    for _ in range(count):
        cart = 48 + state[0, 0] / FURTHEST * 44
        picture = np.ones((40, 96))
        picture[(np.abs(columns - cart) < 7) & (np.abs(rows - 33) < 3)] = 0.2
        up = 30 - rows
        beside = columns - cart - up * np.tan(state[0, 2])
        picture[(np.abs(beside) < 1.5) & (up >= 0) & (up < 28)] = 0.5
        drawn.append(picture)
        state, failed = moved(state, policy(state))
        if failed[0]:
            break
    return np.array(drawn)
