"""The graph that a call of a model executes: its activations, and where they are joined."""

from dataclasses import dataclass, field

from unstuck.lab.executed_kinds import Kind


@dataclass(slots=True)
class Node:
    """An activation: the operation it came out of and the activations that it was made of.

    `positions`: of a mixing operation, the number of places a sample has where it has fewest.
    """

    op: str
    kind: Kind
    carriers: tuple[int, ...]
    module: str
    shape: tuple[int, ...]
    channel: int | None
    positions: int | None = None
    cast: bool = False  # made of whole numbers: a mask, or classes as ones and zeros
    weighed: bool = False  # parameters took part


@dataclass(frozen=True, slots=True)
class Join:
    """A sum or concatenation of activations. `operands` are their nodes, None for others.

    `index`: which of the sums, differences and concatenations of the whole run it is.
    """

    op: str
    index: int
    call: int
    operands: tuple[int | None, ...]
    node: int
    module: str
    channel: int | None
    places: int | None  # of a sample, at the join


@dataclass(slots=True)
class Graph:
    nodes: list[Node] = field(default_factory=list)
    joins: list[Join] = field(default_factory=list)
    calls: int = 0  # of the model itself
