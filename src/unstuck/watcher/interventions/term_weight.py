"""weight/<loss>/<term>: (w' - w) x term is added to the loss."""

import torch
from torch import Tensor

from unstuck.watcher.intervention import Intervention
from unstuck.watcher.terms import Terms


class TermWeight(Intervention):
    kind = "weight"

    def loss(self, name: str, terms: Terms) -> Tensor | None:
        loss, _, term = self.where.partition("/")
        if name != loss or term not in terms.terms:
            return None
        present, change = terms.weights[term], self.change
        new = present * change.value if change.multiple else torch.full_like(present, change.value)
        self.applied()
        return (new - present).detach() * terms.terms[term]
