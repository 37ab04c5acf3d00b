"""The skip connections of an executed graph: what is handed past the layers the rest runs through.

An operand `a` of a sum (of activations of one shape) or of a concatenation along channels (of one
resolution) is a skip where, for another operand `b`,

1. `a` is an activation from which `b` was made by at least one layer and something nonlinear or
   a mixing of places, while on the way to `a` nothing happened but the identity, norms, scaling,
   cropping, pooling and products by place (1x1 projections); or
2. `b` came through layers that mix places at a lower resolution, where `a` did not: as in a U-net
   or an hourglass, also where skips are worked on, or come from another encoder.

Where the second holds, the skip leads *around* a lower resolution.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from unstuck.lab.executed_graph import Graph, Join

MOST = 4000  # joins looked at: a rule that is applied again and again has as many


@dataclass(frozen=True, slots=True)
class Skip:
    """One operand of a join. `raw`: the model's own input, with no layer on the way."""

    join: Join
    operand: int
    born: str  # the module it comes from
    around: bool
    raw: bool

    @property
    def how(self) -> str:
        return "concatenated" if self.join.op == "cat" else "added"

    @property
    def others(self) -> tuple[int, ...]:
        """Places of the other activations that are joined."""
        return tuple(
            i for i, n in enumerate(self.join.operands) if n is not None and i != self.operand
        )


def skips(graph: Graph) -> list[Skip]:
    """Every skip, in the order of execution. Where a model is called, only joins within it."""
    found: list[Skip] = []
    ways = Ways(graph)
    joins = graph.joins[:MOST]
    if not graph.calls:  # the loss adds things up itself
        used = _reach_layers(graph)
        joins = [j for j in joins if j.node in used]
    for join in joins:
        for place, a in enumerate(join.operands):
            if a is None or (join.op == "sub" and place):  # x - f(x) hands x past f
                continue
            others = {n for n in join.operands if n is not None and n != a}
            around = any(ways.around(a, b, join.places) for b in others)
            if around or any(ways.past(a, b) for b in others):
                origin = ways.origin(a)
                raw = graph.nodes[origin].kind == "root"
                born = "input" if raw else ways.named(origin)
                found.append(Skip(join, place, born, around, raw))
    return found


def paths(graph: Graph, found: Iterable[Skip]) -> list[list[Skip]]:
    """Skips around a lower resolution by the path they lie on: one leads into the next."""
    ways = Ways(graph)
    groups: list[list[Skip]] = []
    for skip in found:
        if not skip.around or (skip.raw and skip.how == "added"):
            continue  # f(x) + x: what is learned is a correction of the input
        before = set().union(*(ways.ancestors(n) for n in skip.join.operands if n is not None))
        mine = [g for g in groups if any(s.join.node in before or s.join is skip.join for s in g)]
        for group in mine:
            groups.remove(group)
        groups.append([s for group in mine for s in group] + [skip])
    return groups


def innermost(graph: Graph, path: list[Skip]) -> list[Skip]:
    """The skips of a path whose other operand no earlier skip of the nest has flowed into."""
    ways = Ways(graph)
    ends = []
    for skip in path:
        a = skip.join.operands[skip.operand]
        assert a is not None
        for place in skip.others:
            b = skip.join.operands[place]
            assert b is not None
            between = ways.ancestors(b) - ways.ancestors(a)
            if not any(s.join.node in between for s in path):
                ends.append(skip)
                break
    return ends


class Ways:
    """Questions about how one activation came from others."""

    def __init__(self, graph: Graph) -> None:
        self.nodes = graph.nodes
        self._ancestors: dict[int, frozenset[int]] = {}

    def ancestors(self, node: int) -> frozenset[int]:
        """The node and all that it is made from."""
        if node not in self._ancestors:
            seen, left = {node}, [node]
            while left:
                for parent in self.nodes[left.pop()].carriers:
                    if parent not in seen:
                        seen.add(parent)
                        left.append(parent)
            if len(self._ancestors) > 64:
                self._ancestors.clear()
            self._ancestors[node] = frozenset(seen)
        return self._ancestors[node]

    def line(self, node: int) -> list[int]:
        """The node and what it is merely a form of, back to where something happened to it."""
        found = [node]
        while True:
            here = self.nodes[found[-1]]
            if here.kind not in ("same", "linear") or len(here.carriers) != 1:
                return found
            found.append(here.carriers[0])

    def origin(self, node: int) -> int:
        """The last layer, nonlinearity or join that made it; the input where there is none."""
        for number in self.line(node):
            if self.nodes[number].kind != "same" or len(self.nodes[number].carriers) != 1:
                return number
        return self.line(node)[-1]

    def named(self, node: int) -> str:
        """The module it comes from; what the model does itself is counted to the layer before."""
        while not self.nodes[node].module and len(self.nodes[node].carriers) == 1:
            node = self.nodes[node].carriers[0]
        return self.nodes[node].module

    def past(self, a: int, b: int) -> bool:
        """Whether b comes from a form of a by a layer and something nonlinear or that mixes.

        Where a is a projection, b must come from nothing else (a condition that is projected anew
        for every block is no skip), and by more than one layer (two heads of one trunk are none).
        """
        forms = self.line(a)
        of_b = self.ancestors(b)
        place = next((i for i, n in enumerate(forms) if n in of_b), None)
        if place is None:
            return False
        projected = any(self.nodes[n].kind == "linear" for n in forms[:place])
        if not self._worked_on(b, forms[place], layers=2 if projected else 1):
            return False
        return not projected or self._only_from(b, forms[place])

    def _worked_on(self, b: int, start: int, layers: int) -> bool:
        """Whether a way from `start` to b leads through so many layers; a wide kernel is two."""
        seen = set()
        left = [(b, 0, False)]
        while left:
            here = number, passed, bent = left.pop()
            if number == start and passed >= layers and bent:
                return True
            if here in seen or number <= start:
                continue
            seen.add(here)
            node = self.nodes[number]
            passed = min(2, passed + {"linear": 1, "spatial": 2, "attend": 2}.get(node.kind, 0))
            bent |= node.kind in ("bend", "spatial", "attend")
            left += [(parent, passed, bent) for parent in node.carriers]
        return False

    def _only_from(self, b: int, start: int) -> bool:
        """Whether every way back from b leads through `start`."""
        seen, left = {start}, [b]
        while left:
            number = left.pop()
            if number in seen:
                continue
            seen.add(number)
            if not self.nodes[number].carriers:
                return False
            left += self.nodes[number].carriers
        return True

    def around(self, a: int, b: int, places: int | None) -> bool:
        """Whether b, and not a, came through layers at a lower resolution than the join's."""
        if places is None:
            return False
        of_a, of_b = self.ancestors(a), self.ancestors(b)
        return (
            any(self._below(n, places) for n in of_b - of_a)
            and not any(self._below(n, places) for n in of_a - of_b)
            and any(self._at(n, places) for n in of_a)
        )

    def _below(self, number: int, places: int) -> bool:
        found = self.nodes[number].positions
        return found is not None and found < places

    def _at(self, number: int, places: int) -> bool:
        """A layer at this resolution or a finer one, or a picture handed in as fine as that."""
        node = self.nodes[number]
        if node.positions is not None:
            return node.positions >= places
        return node.kind == "root" and len(node.shape) > 3 and node.shape[2:][0] ** 2 >= places


def _reach_layers(graph: Graph) -> set[int]:
    """Activations that flow on into a layer."""
    used: set[int] = set()
    for number in range(len(graph.nodes) - 1, -1, -1):
        node = graph.nodes[number]
        if number in used or (node.weighed and node.kind in ("linear", "spatial", "attend")):
            used.update(node.carriers)
    return used
