"""floor/<loss>/<term> and ramp/<loss>/<term>: a term that stops mattering, or begins to, gently.

`floor`: max(term, floor) takes the term's place, so that what lies below is not pushed further
down: free bits, here of the whole term. `ramp`: in the k-th of the first n backward passes of the
loss the term weighs k/n of what the script gives it, as a divergence that is warmed up.

Reference: Kingma et al. 2016, <https://arxiv.org/abs/1606.04934>; Bowman et al. 2016,
<https://arxiv.org/abs/1511.06349>
"""

from torch import Tensor

from unstuck.changes import Change
from unstuck.watcher.intervention import Intervention, Interventions
from unstuck.watcher.terms import Terms


class Floor(Intervention):
    kind = "floor"
    order = 1  # of the weight that a change gives the term

    def loss(self, name: str, terms: Terms) -> Tensor | None:
        loss, _, called = self.where.partition("/")
        term = terms.terms.get(called) if name == loss else None
        if term is None:
            return None
        self.applied()
        return terms.weights[called].detach() * (term.clamp_min(self.change.value) - term)


class Ramp(Intervention):
    kind = "ramp"
    order = 2

    def __init__(self, change: Change, interventions: Interventions) -> None:
        super().__init__(change, interventions)
        self._passes = 0

    def loss(self, name: str, terms: Terms) -> Tensor | None:
        loss, _, called = self.where.partition("/")
        if name != loss or called not in terms.terms:
            return None
        self._passes += 1
        missing = 1 - self._passes / self.change.value
        self.applied()
        if missing <= 0:
            return None
        return -missing * terms.weights[called].detach() * terms.terms[called]
