"""Labels and predictions of a classifier, look by look, without waiting for the device.

Everything is kept in tensors where the labels live; nothing here reads a number of theirs.
"""

import torch
from torch import Tensor

MEMORY = 0.7  # of the counts of the samples seen so far kept at each look: some three looks
NAMES = ("alike", "alike_overall", "majority", "said", "recall", "separation")


class Balance:
    """Counts of one place's labels over the run, and how those of the minority are told apart."""

    def __init__(self, classes: int, device: torch.device) -> None:
        self._seen = torch.zeros(classes, device=device)  # labels of all looks
        self._now = torch.zeros(classes, device=device)  # labels of the running look
        self._recent = torch.zeros(8, device=device)
        self._one_a_sample = True
        self._used = self._scored = False

    @property
    def classes(self) -> int:
        return len(self._seen)

    def forget(self) -> None:
        """Drop the running look: its step was not one to be read."""
        self._now = torch.zeros_like(self._now)

    def add(self, labels: Tensor, scores: Tensor | None, rows: Tensor, one: bool) -> None:
        """Add labels (n,), negative where there is none, and scores (rows, classes) of some.

        `one`: each label is of a sample of its own.
        """
        kept = (labels >= 0) & (labels < self.classes)
        self._now.scatter_add_(0, labels.clamp(0, self.classes - 1), kept.float())
        self._one_a_sample &= one
        self._used = True
        if scores is not None:
            self._scored = True
            self._score(scores.float(), labels.index_select(0, rows))

    def _score(self, scores: Tensor, labels: Tensor) -> None:
        common = (self._seen + self._now).argmax()
        said = scores.argmax(1)
        kept = (labels >= 0).float()
        rare = (labels != common).float() * kept
        usual = kept - rare
        own = torch.arange(self.classes, device=scores.device) == common
        others = scores.masked_fill(own, -torch.inf).logsumexp(1)
        doubt = others - scores.index_select(1, common.reshape(1))[:, 0]
        doubt = doubt - (doubt * usual).sum() / usual.sum().clamp_min(1)
        sums = (
            kept,
            (said == common).float() * kept,
            rare,
            (said == labels).float() * rare,
            doubt * rare,
            doubt.square() * rare,
            usual,
            doubt.square() * usual,
        )
        self._recent = MEMORY * self._recent + torch.stack(sums).sum(1)

    def readings(self) -> dict[str, Tensor]:
        """Scalars of the look that ends, under `NAMES`; the next one begins."""
        if not self._used:
            return {}
        now, count = self._now, self._now.sum()
        self._seen += now
        self._used, self._now = False, torch.zeros_like(now)
        shares = self._seen / self._seen.sum().clamp_min(1)
        found = {"majority": shares.max()}
        if self._one_a_sample:
            pairs = (count * (count - 1)).clamp_min(1)
            found["alike"] = (now * (now - 1)).sum() / pairs
            found["alike_overall"] = shares.square().sum()
        if not self._scored:
            return found
        self._scored = False
        every, said, rare, hit, doubt, doubt2, usual, usual2 = self._recent.unbind()
        seen = torch.where(rare >= 1, rare, torch.nan)
        mean = doubt / seen
        spread = ((doubt2 / seen - mean.square()).clamp_min(0) + usual2 / usual.clamp_min(1)) / 2
        found["said"] = said / every
        found["recall"] = hit / seen
        found["separation"] = mean / spread.sqrt().clamp_min(1e-12)
        return found
