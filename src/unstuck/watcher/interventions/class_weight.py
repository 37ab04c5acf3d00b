"""class_weight/labels 'balanced': rare classes weigh as much as common ones.

    cross_entropy, nll_loss             weight[c] = labels / (classes seen x labels of c)
    binary_cross_entropy[_with_logits]  a positive weighs negatives / positives, column by column

Counts are those of the labels that one place of the script has handed over so far, the running
batch among them; a class that was not seen, or the only one that was, weighs 1. A loss that has
weights of its own, and targets that are probabilities, are left alone. The loss as the script wrote
it is recorded beside the weighted one.

Reference: King & Zeng, Logistic Regression in Rare Events Data, 2001, section 3.2,
<https://doi.org/10.1093/oxfordjournals.pan.a004868>
"""

import torch
from torch import Tensor

from unstuck.changes import Change
from unstuck.watcher.altered_calls import Arguments, argument, replaced
from unstuck.watcher.call_sites import CallSites
from unstuck.watcher.intervention import Intervention, Interventions

SEVERAL = ("cross_entropy", "nll_loss")
LOGITS = "binary_cross_entropy_with_logits"
BINARY = ("binary_cross_entropy", LOGITS)
WEIGHT, IGNORED, POSITIVE = 2, 4, 6  # places of weight, ignore_index and pos_weight


class ClassWeight(Intervention):
    kind = "class_weight"

    def __init__(self, change: Change, interventions: Interventions) -> None:
        super().__init__(change, interventions)
        self._sites = CallSites()
        self._counts: dict[str, Tensor] = {}

    def start(self) -> None:
        self.all.calls.alter((*SEVERAL, *BINARY), self._weighted, rewrites=True)

    def _weighted(self, function: str, given: Arguments) -> Arguments | None:
        scores, target = argument(given, 0, "input"), argument(given, 1, "target")
        if not (isinstance(scores, Tensor) and isinstance(target, Tensor)):
            return None
        names = ((WEIGHT, "weight"), (POSITIVE, "pos_weight"))[: 1 + (function == LOGITS)]
        if any(argument(given, *name) is not None for name in names):
            return None
        place = self._sites.name(function) or function
        if function in SEVERAL:
            weight = self._of_classes(
                place, scores, target, argument(given, IGNORED, "ignore_index")
            )
            return None if weight is None else self._given(given, *names[0], weight)
        if scores.shape != target.shape:
            return None
        positive = self._of_positives(place, target.detach()).to(scores.dtype)
        if function == LOGITS:
            return self._given(given, *names[1], positive)
        return self._given(given, *names[0], 1 + (positive - 1) * target.detach())

    def _given(self, given: Arguments, place: int, name: str, weight: Tensor) -> Arguments:
        self.applied()
        return replaced(given, place, name, weight)

    def _of_classes(
        self, place: str, scores: Tensor, target: Tensor, ignored: int | None
    ) -> Tensor | None:
        """Weights (classes,), from labels (n, ...) for scores (n, classes, ...)."""
        if scores.ndim < 2 or target.is_floating_point():
            return None
        labels = target.detach().flatten()
        kept = (labels >= 0) & (labels != (-100 if ignored is None else ignored))
        now = torch.zeros(scores.shape[1], device=labels.device, dtype=torch.float64)
        now.scatter_add_(0, labels.clamp_min(0).long(), kept.double())
        counts = self._add(place, now)
        seen = counts > 0
        balanced = counts.sum() / (seen.sum() * counts.clamp_min(1))
        return torch.where(seen, balanced, 1.0).to(scores.dtype)

    def _of_positives(self, place: str, target: Tensor) -> Tensor:
        """Weight of a positive: (), (columns,) or (channels, 1, ...), as torch broadcasts it."""
        dims = [d for d in range(target.ndim) if d != 1]
        pixels = (1,) * (target.ndim - 2)
        positive = target.double().sum(dims) if target.ndim else target.double()
        every = torch.full_like(positive, target.numel() / positive.numel())
        counts = self._add(place, torch.stack([positive, every - positive]))
        both = (counts > 0).all(0)
        found = torch.where(both, counts[1] / counts[0].clamp_min(1e-12), 1.0)
        return found.reshape(*found.shape, *pixels) if target.ndim > 1 else found

    def _add(self, place: str, now: Tensor) -> Tensor:
        before = self._counts.get(place)
        if before is not None and before.shape == now.shape:
            now = now + before
        self._counts[place] = now
        return now
