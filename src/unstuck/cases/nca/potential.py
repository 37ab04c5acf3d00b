"""Flow around obstacles, over uneven ground: a potential flow, solved on the grid of the canvas.

A shallow layer of depth h = 1 - terrain flows from high to low potential: div(h grad phi) = 0, no
flow through obstacles, and at the canvas's edge the potential of the undisturbed flow, x or y. The
finite volumes' sparse system is solved directly. Flow from any direction is a sum of two of these.
(Batchelor, An Introduction to Fluid Dynamics, 1967, chapter 6; for a layer of varying depth the
same with conductance h.)
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse.linalg import splu

Array = NDArray[np.floating]
FIELDS = 4  # u, v, potential, stream function, each without the undisturbed flow's
RELIEF = 0.35  # highest terrain, of the layer's depth
FEWEST, MOST = 3, 8  # obstacles
SMALLEST, LARGEST = 0.03, 0.2  # half their sides, of the canvas
ROUNDED = 64  # a corner's radius is the canvas's side over this


def domain(seed: tuple[int, int], size: int) -> tuple[NDArray[np.bool_], Array]:
    """Obstacles and terrain of a canvas (size, size), the same for a seed on every machine."""
    lots = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size] + 0.5
    solid = np.zeros((size, size), bool)
    for _ in range(lots.integers(FEWEST, MOST)):
        row, column = lots.uniform(0.1 * size, 0.9 * size, 2)
        sides = lots.uniform(SMALLEST * size, LARGEST * size, 2)
        turn = lots.uniform(0, np.pi)
        x = np.cos(turn) * (columns - column) + np.sin(turn) * (rows - row)
        y = np.cos(turn) * (rows - row) - np.sin(turn) * (columns - column)
        block = (np.abs(x) < sides[0]) & (np.abs(y) < sides[1])
        disc = (x / sides[0]) ** 2 + (y / sides[1]) ** 2 < 1
        solid |= block if lots.random() < 0.6 else disc
    solid = ndimage.gaussian_filter(solid.astype(float), size / ROUNDED) > 0.5
    free = max(2, size // 24)
    solid[:free] = solid[-free:] = solid[:, :free] = solid[:, -free:] = False
    parts, _ = ndimage.label(~solid)
    solid |= parts != parts[0, 0]  # nothing flows in a closed yard
    ground = ndimage.gaussian_filter(lots.standard_normal((size, size)), size / 12, mode="wrap")
    return solid, RELIEF * ground / np.abs(ground).max()


def solved(solid: NDArray[np.bool_], terrain: Array) -> NDArray[np.float32]:
    """What obstacles and terrain change of a flow along x and of one along y.

    `solid` and `terrain` are (n, n); the result is (2, `FIELDS`, n, n): the velocities u and v for
    an undisturbed speed of 1, the potential and the stream function (both in px). ValueError where
    the terrain is as high as the layer, or no number.
    """
    size = len(solid)
    depth = np.where(solid, 0.0, 1.0 - terrain)
    if not (np.isfinite(terrain).all() and (depth[~solid] > 0).all()):
        raise ValueError("the terrain must be numbers below 1, the depth of the layer")
    right, down = _between(depth[:, :-1], depth[:, 1:]), _between(depth[:-1], depth[1:])
    place = np.arange(size) + 0.5 - size / 2
    far = np.stack(np.meshgrid(place, place))  # the undisturbed potentials: x, y
    potentials = _potentials(solid, depth, right, down, place)
    flows = []
    for along in (0, 1):
        phi = potentials[along]
        edges = _edges(along, place, size)
        across = np.zeros((size, size + 1))
        across[:, 1:-1] = np.diff(phi, axis=1) * (right > 0)
        across[:, 0], across[:, -1] = 2 * (phi[:, 0] - edges[0]), 2 * (edges[1] - phi[:, -1])
        along_y = np.zeros((size + 1, size))
        along_y[1:-1] = np.diff(phi, axis=0) * (down > 0)
        along_y[0], along_y[-1] = 2 * (phi[0] - edges[2]), 2 * (edges[3] - phi[-1])
        u, v = (across[:, 1:] + across[:, :-1]) / 2, (along_y[1:] + along_y[:-1]) / 2
        stream = _stream(across, along_y, depth, right, down)
        still = far[1] if along == 0 else -far[0]
        bent = stream - stream.mean() - (still - still.mean())
        flows.append(np.stack([u - (along == 0), v - (along == 1), phi - far[along], bent]))
    return np.asarray(np.stack(flows) * ~solid, dtype=np.float32)


def _between(one: Array, other: Array) -> Array:
    """Depth of the face between two cells: their harmonic mean, 0 at an obstacle."""
    both = (one > 0) & (other > 0)
    return np.where(both, 2 * one * other / np.maximum(one + other, 1e-12), 0.0)


def _edges(along: int, place: Array, size: int) -> list[Array]:
    """The undisturbed potential at the canvas's left, right, upper and lower edge."""
    low, high = np.full(size, -size / 2), np.full(size, size / 2)
    return [low, high, place, place] if along == 0 else [place, place, low, high]


def _potentials(
    solid: NDArray[np.bool_], depth: Array, right: Array, down: Array, place: Array
) -> Array:
    """The potentials (2, n, n) of both flows."""
    size = len(solid)
    number = np.arange(size * size).reshape(size, size)
    diagonal, told = np.zeros((size, size)), np.zeros((2, size, size))
    rows, columns, values = [], [], []
    faces = ((number[:, :-1], number[:, 1:], right), (number[:-1], number[1:], down))
    for one, other, conductance in faces:
        rows += [one.ravel(), other.ravel()]
        columns += [other.ravel(), one.ravel()]
        values += [-conductance.ravel()] * 2
    diagonal[:, :-1] += right
    diagonal[:, 1:] += right
    diagonal[:-1] += down
    diagonal[1:] += down
    every = slice(None)
    border: list[Any] = [(every, 0), (every, -1), (0, every), (-1, every)]
    for i, edge in enumerate(border):  # half a cell to the edge
        diagonal[edge] += 2 * depth[edge]
        for along in (0, 1):
            told[along][edge] += 2 * depth[edge] * _edges(along, place, size)[i]
    diagonal[solid] = 1.0
    rows.append(number.ravel())
    columns.append(number.ravel())
    values.append(diagonal.ravel())
    places = (np.concatenate(rows), np.concatenate(columns))
    system = sparse.coo_matrix((np.concatenate(values), places)).tocsc()
    found = splu(system).solve(told.reshape(2, -1).T)
    return np.asarray(found.T.reshape(2, size, size))


def _stream(across: Array, along_y: Array, depth: Array, right: Array, down: Array) -> Array:
    """What flows between a cell and the canvas's first corner, per unit of depth far away."""
    size = len(depth)
    x = np.zeros((size, size + 1))
    x[:, 1:-1], x[:, 0], x[:, -1] = right, depth[:, 0], depth[:, -1]
    y = np.zeros((size + 1, size))
    y[1:-1], y[0], y[-1] = down, depth[0], depth[-1]
    corners = np.zeros((size + 1, size + 1))
    corners[1:, 0] = np.cumsum((x * across)[:, 0])
    corners[:, 1:] = corners[:, :1] - np.cumsum(y * along_y, axis=1)
    return (corners[1:, 1:] + corners[:-1, 1:] + corners[1:, :-1] + corners[:-1, :-1]) / 4
