"""Does the graph of a loss reach back into what was computed before earlier backward passes?"""

import heapq
from bisect import bisect_left
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from unstuck.watcher.collector import Collector, Watched

FEW_NODES = 300  # of a graph that are visited at a look, the oldest first
MOST_NODES = 2000  # and at a look at terms; some 100 time steps of a recurrent layer
MOST_BEFORE = 64  # backward passes that are told apart

Node = Any  # torch.autograd.graph.Node: the binding has no public constructor to type against


class GraphHistory(Collector):
    """`history/<loss>`: how many of the earlier backward passes its graph reaches back beyond.

    Nodes are numbered as they are made. Those made between the same two backward passes of a loss
    count once: parts shared by the losses of several tasks are one, a state that is carried from
    chunk to chunk without `detach` is one more at every chunk.
    """

    every_step = True

    def __init__(self, watched: Watched) -> None:
        super().__init__(watched)
        self._made: dict[str, list[int]] = {}  # loss -> the newest node at its backward passes
        self._reached: dict[str, int] = {}

    def before_backward(self, loss: str, root: Tensor, value: Tensor) -> None:
        node = root.grad_fn
        if node is None:
            return
        newest = node._sequence_nr()
        before = self._made.setdefault(loss, [])
        if before and self.watched.closely:
            numbers = _oldest(node, MOST_NODES if self.watched.by_term else FEW_NODES)
            reached = len({bisect_left(before, n) for n in numbers} - {len(before)})
            self._reached[loss] = max(reached, self._reached.get(loss, 0))
        if not before or newest > before[-1]:
            before.append(newest)
            del before[:-MOST_BEFORE]

    def before_step(self, name: str, optimizer: Optimizer) -> None:
        """The most of the backward passes of this step."""
        if self._reached:
            self.recorder.numbers({f"history/{loss}": n for loss, n in self._reached.items()})
            self._reached = {}


def _oldest(root: Node, most: int) -> list[int]:
    """The numbers of the nodes of a graph, walked from the oldest known one, not all of them."""
    seen = {root}
    waiting = [(root._sequence_nr(), 0, root)]
    found: list[int] = []
    while waiting and len(found) < most:
        number, _, node = heapq.heappop(waiting)
        found.append(number)
        for child, _ in node.next_functions:
            if child is not None and child not in seen:
                seen.add(child)
                if child.next_functions:  # what has none is a parameter
                    heapq.heappush(waiting, (child._sequence_nr(), len(seen), child))
    return found
