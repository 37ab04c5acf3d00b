"""What classifiers hand to their losses: are these scores, and of how many classes and which?"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from unstuck.watcher.call_sites import CallSites, Looks
from unstuck.watcher.class_balance import Balance
from unstuck.watcher.collector import Collector
from unstuck.watcher.output_range import made_by

FUNCTIONS = (
    "cross_entropy",
    "nll_loss",
    "kl_div",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
)
MOST_CLASSES = 65536  # above, labels are not counted
MOST_LABELS = 4096  # of one call
MOST_ROWS = 256  # of scores of one call that are read, and of fewer where there are many classes
MOST_SCORES = 16384
FEW_ROWS = 4
MOST_CALLS = 32  # of one step
TOLERANCE = 1e-3  # of a sum of probabilities in 16 bits

ClassIndices = (torch.int64, torch.int32, torch.int16, torch.uint8)


class ClassScores(Collector):
    """Shares of probabilities among what should be scores; labels by batch; majority predictors."""

    functions = tuple(f"torch.nn.functional.{name}" for name in FUNCTIONS)

    def __init__(self, watched: Any) -> None:
        super().__init__(watched)
        self._sites = CallSites()
        self._balances: dict[str, Balance] = {}
        self._noted: set[str] = set()
        self._looks = Looks()
        self._at = self._calls = 0
        self._closely = False  # scores are read, too, and not only labels
        self._recorded: dict[str, int] = {}

    def called(self, function: str, args: tuple[Any, ...], options: Any, result: Any) -> None:
        if not (isinstance(result, Tensor) and result.requires_grad and torch.is_grad_enabled()):
            return
        scores = args[0] if args else options.get("input")
        target = args[1] if len(args) > 1 else options.get("target")
        self._follow()
        if not (isinstance(scores, Tensor) and isinstance(target, Tensor)):
            return
        site = self._sites.name(function) if scores.numel() and scores.is_floating_point() else None
        if site is None or self._calls > MOST_CALLS:
            return
        self._note(site, function, scores)
        self._closely = self._looks.wanted(site)
        if function.startswith("binary"):
            self._binary(site, function, scores.detach(), target)
        elif function == "kl_div" and scores.ndim >= 2:
            self._several(site, function, scores.detach().flatten(0, -2), target)
        elif scores.ndim >= 2:
            self._several(site, function, scores.detach(), target)

    def before_step(self, name: str, optimizer: Any) -> None:
        step = self.recorder.clock.step
        if self._at < step - 1:
            self._forget()
        for site, balance in self._balances.items():
            found = balance.readings() if self._recorded.get(site) != step else {}
            if found:
                self._recorded[site] = step
                self.recorder.vector(list(found.values()), named(_series(site, k) for k in found))
            balance.forget()

    def _follow(self) -> None:
        """Drop what was heard in a step that turned out not to be read."""
        step = self.recorder.clock.step
        if step > self._at + 1:
            self._forget()
        self._calls = self._calls + 1 if step == self._at else 0
        self._at = step

    def _forget(self) -> None:
        for balance in self._balances.values():
            balance.forget()

    def _note(self, site: str, function: str, scores: Tensor) -> None:
        if site not in self._noted:
            self._noted.add(site)
            single = scores.ndim < 2 or function.startswith("binary")
            classes = 2 if single else scores.shape[1]
            facts = {f"prediction/{site}/classes": classes}
            made = made_by(scores)
            self.recorder.note(facts | ({f"prediction/{site}/made_by": made} if made else {}))

    def _binary(self, site: str, function: str, scores: Tensor, target: Tensor) -> None:
        if scores.shape != target.shape:
            return
        stride = max(1, scores.numel() // MOST_LABELS) | 1
        z, t = scores.reshape(-1)[::stride], target.detach().reshape(-1)[::stride]
        if function.endswith("logits") and self._closely:
            inside = ((z >= 0) & (z <= 1)).float().mean()
            self.hold([inside], [f"prediction/{site}/probability"])
        elif self._closely:
            z = z.float().logit(1e-7)
        single = scores.numel() == scores.shape[0] if scores.ndim else False
        several = scores.ndim == 2 and not single  # labels of their own, none the majority's
        if not several:
            rows = torch.arange(len(z), device=z.device)
            two = torch.stack([torch.zeros_like(z), z], 1) if self._closely else None
            self._balance(site, 2, z.device).add((t > 0.5).long(), two, rows, single)

    def _several(self, site: str, function: str, scores: Tensor, target: Tensor) -> None:
        classes = scores.shape[1]
        count = max(FEW_ROWS, min(MOST_ROWS, MOST_SCORES // classes))
        stride = max(1, scores.numel() // classes // count) | 1  # odd: no column of pixels twice
        rows = torch.arange(0, scores.numel() // classes, stride, device=scores.device)
        flat = None
        if self._closely:
            at = torch.unravel_index(rows, (scores.shape[0], *scores.shape[2:]))
            flat = scores.movedim(1, -1)[tuple(at)]
            self._distribution(site, function, flat)
        labelled = target.dtype in ClassIndices and target.ndim == scores.ndim - 1
        if labelled and classes <= MOST_CLASSES and function != "kl_div":
            labels = target.detach().reshape(-1).long()
            one = target.ndim == 1
            if labels.numel() > MOST_LABELS:
                labels = labels.index_select(0, rows)
                rows = torch.arange(len(rows), device=rows.device)
            self._balance(site, classes, scores.device).add(labels, flat, rows, one)

    def _distribution(self, site: str, function: str, rows: Tensor) -> None:
        x = rows.float()
        sums = ((x.sum(1) - 1).abs() < TOLERANCE) & (x.amin(1) >= 0)
        values, names = [sums.float().mean()], [f"prediction/{site}/probability"]
        if function != "cross_entropy":
            values.append(x.logsumexp(1).abs().mean())
            names.append(f"prediction/{site}/log_mass")
        self.hold(values, names)

    def _balance(self, site: str, classes: int, device: torch.device) -> Balance:
        known = self._balances.get(site)
        if known is None or known.classes != classes:
            known = self._balances[site] = Balance(classes, device)
        return known


def named(names: Iterable[str]) -> Callable[[list[float]], dict[str, float]]:
    """Gives a vector's numbers these names."""
    kept = list(names)
    return lambda values: dict(zip(kept, values, strict=True))


def _series(site: str, key: str) -> str:
    of_target = key in ("alike", "alike_overall", "majority")
    return f"{'target' if of_target else 'prediction'}/{site}/{key}"
