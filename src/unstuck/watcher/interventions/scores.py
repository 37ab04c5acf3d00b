"""scores/cross_entropy 'raw': losses that make probabilities themselves are handed scores.

    cross_entropy, binary_cross_entropy_with_logits    what the softmax or sigmoid was made of
    nll_loss, kl_div                                   the log-softmax of what it was made of

`cross_entropy` of log-probabilities is left alone: that is as good as of scores. Where the
activation was seen being called, its own input takes its place, as if it were not in the script.
Where its output was rearranged since, or it is written out by hand, it is undone by its inverse:
`log p` of a softmax, `log p - log(1 - p)` of a sigmoid. Whether rows that no known activation made
are probabilities, or logarithms of some, is looked at the first time each place is met.

The loss as the script wrote it is recorded beside the new one. That of scores handed to `nll_loss`
falls without end and says nothing of how good a model is: compare a metric there.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from unstuck.changes import Change
from unstuck.watcher.altered_calls import Arguments, argument, replaced
from unstuck.watcher.call_sites import CallSites
from unstuck.watcher.intervention import Intervention, Interventions
from unstuck.watcher.output_range import made_by

LOGITS = "binary_cross_entropy_with_logits"
FUNCTIONS = ("cross_entropy", "nll_loss", "kl_div", LOGITS)
ACTIVATIONS = tuple(
    f"{owner}.{name}"
    for owner in ("torch", "torch.Tensor", "torch.nn.functional")
    for name in ("softmax", "sigmoid", "hardsigmoid")
    if name != "hardsigmoid" or owner == "torch.nn.functional"
)
SQUASHED = ("softmax", "sigmoid", "hardsigmoid")
LOGARITHMS = ("log_softmax", "log_sigmoid")
TOLERANCE = 1e-3  # of a sum of probabilities, in 16 bits
MASS = (
    0.1  # of a logarithm of a sum: log-probabilities in bfloat16 0.03, scores of two classes 0.69
)
MOST_HELD = 16  # inputs of activations; attention has many, and the last one makes the prediction
WHO = "scores"

Node = Any  # torch.autograd.graph.Node: the binding has no public constructor to type against


@dataclass(frozen=True, slots=True)
class Made:
    """What an activation was called with."""

    scores: Tensor
    dim: int | None


class Scores(Intervention):
    kind = "scores"

    def __init__(self, change: Change, interventions: Interventions) -> None:
        super().__init__(change, interventions)
        self._made: dict[Node, Made] = {}  # since the last step
        self._sites = CallSites()
        self._rows: dict[str, str] = {}  # place -> what its rows are, where nothing tells

    def start(self) -> None:
        self.all.calls.functions.listen(WHO, ACTIVATIONS, self._activated)
        self.all.calls.alter(FUNCTIONS, self._raw, rewrites=True)

    def stop(self) -> None:
        self.all.calls.functions.stop(WHO)
        self._made = {}

    def after_step(self, name: str, optimizer: Any) -> None:
        self._made = {}

    def _activated(self, name: str, args: tuple[Any, ...], options: Any, result: Any) -> None:
        if not isinstance(result, Tensor) or result.grad_fn is None:
            return
        given = (args, options)
        scores, dim = argument(given, 0, "input"), argument(given, 1, "dim")
        if isinstance(scores, Tensor):
            if len(self._made) >= MOST_HELD:
                del self._made[next(iter(self._made))]
            self._made[result.grad_fn] = Made(scores, dim if isinstance(dim, int) else None)

    def _raw(self, function: str, given: Arguments) -> Arguments | None:
        prediction = argument(given, 0, "input")
        if not isinstance(prediction, Tensor) or prediction.grad_fn is None:
            return None
        scores = self._scores(function, prediction)
        if scores is None:
            return None
        self.applied()
        return replaced(given, 0, "input", scores)

    def _scores(self, function: str, prediction: Tensor) -> Tensor | None:
        """What the loss is to get in place of its prediction; None where that is right."""
        maker = made_by(prediction)
        if maker in LOGARITHMS:
            return None
        logarithms = function in ("nll_loss", "kl_div")
        dim = 1 if function != "kl_div" and prediction.ndim > 1 else -1  # of the classes
        if maker in SQUASHED:
            made = self._made.get(prediction.grad_fn)
            if made is not None:
                at = dim if made.dim is None else made.dim
                return functional.log_softmax(made.scores, at) if logarithms else made.scores
            undone = _inverse(str(maker), prediction)
            return (
                functional.log_softmax(undone, dim) if logarithms and maker != "softmax" else undone
            )
        if function == LOGITS:
            return None
        rows = self._looked_at(function, prediction.detach(), dim)
        if rows == "probabilities":
            return _inverse("softmax", prediction)
        return functional.log_softmax(prediction, dim) if logarithms and rows == "scores" else None

    def _looked_at(self, function: str, rows: Tensor, dim: int) -> str:
        """What rows are that no known activation made; decided once for every place."""
        place = self._sites.name(function) or function
        if place not in self._rows:
            self._rows[place] = _kind_of_rows(rows.float(), dim)
        return self._rows[place]


def _kind_of_rows(rows: Tensor, dim: int) -> str:
    if bool((rows >= 0).all() & ((rows.sum(dim) - 1).abs() < TOLERANCE).all()):
        return "probabilities"
    whole = bool((rows.logsumexp(dim).abs() < MASS).all())
    return "logarithms" if whole else "scores"


def _inverse(activation: str, output: Tensor) -> Tensor:
    """What an activation was made of, by its output; as far as its numbers still tell."""
    p = output.float()
    smallest = torch.finfo(p.dtype).tiny
    if activation == "softmax":
        return p.clamp_min(smallest).log().to(output.dtype)
    if activation == "hardsigmoid":
        return 6 * p - 3
    near = torch.finfo(p.dtype).eps
    return p.clamp(smallest, 1 - near).logit().to(output.dtype)
