"""Does a model of token sequences see what it must predict? Targets against input, and the future.

The future's share costs part of a backward pass, so it is measured in the steps `LOOKS` only, or in
the next ones in which gradients are read by term.
"""

from typing import Any

import torch
from torch import Tensor, nn

from unstuck.watcher.collector import Collector
from unstuck.watcher.extra_pass import hooked, undisturbed
from unstuck.watcher.ranks import process_group

SHORTEST = 8  # tokens of a sequence
LOOKS = (1, 40)  # steps; what a mask lets through does not change
MOST_TOKENS = 4096  # of a batch that are compared


class TokenLeak(Collector):
    """Share of targets equal to the token fed in, or to the next one; gradient from the future."""

    functions = ("torch.nn.functional.cross_entropy",)
    every_step = True  # only to let go of the graph where a step turns out not to be read

    def __init__(self, watched: Any) -> None:
        super().__init__(watched)
        self._model = ""
        self._tokens: Tensor | None = None
        self._embedded: Tensor | None = None
        self._aimed: Tensor | None = None  # scores of the targets of the first half
        self._looks = 0
        self._looking = False

    def forward(
        self, name: str, module: nn.Module, args: tuple[Any, ...], output: Any, outermost: bool
    ) -> None:
        if not isinstance(module, nn.Embedding) or self._tokens is not None or self._looking:
            return
        tokens = args[0] if args else None
        if not isinstance(tokens, Tensor) or tokens.ndim != 2 or tokens.shape[1] < SHORTEST:
            return
        if isinstance(output, Tensor) and output.requires_grad:
            self._tokens, self._embedded = tokens.detach(), output
            self.rest(False)
            self._model = name.partition(".")[0]

    def called(self, function: str, args: tuple[Any, ...], options: Any, result: Any) -> None:
        scores = args[0] if args else options.get("input")
        target = args[1] if len(args) > 1 else options.get("target")
        tokens, self._tokens = self._tokens, None
        if (
            tokens is None
            or not torch.is_grad_enabled()
            or not (isinstance(scores, Tensor) and scores.requires_grad)
        ):
            return
        if not isinstance(target, Tensor) or target.dtype != torch.int64:
            return
        if target.numel() != tokens.numel() or scores.ndim not in (2, 3):
            return
        targets = target.detach().reshape(tokens.shape)
        self._compare(tokens, targets)
        if self._wants_look() and process_group() is None:
            chosen = scores.gather(1, target.clamp_min(0).unsqueeze(1))
            self._aimed = chosen.reshape(tokens.shape)[:, : tokens.shape[1] // 2].sum()

    def before_backward(self, loss: str, root: Tensor, value: Tensor) -> None:
        aimed, embedded = self._aimed, self._embedded
        self._tokens = self._embedded = self._aimed = None
        self.rest()
        if aimed is None or embedded is None or not self.watched.by_term:
            return
        models = list(self.watched.modules.models.values())
        if hooked(models, ()):
            return
        self._looks += 1
        self._looking = True
        try:
            with undisturbed(models, [embedded]):
                (slope,) = torch.autograd.grad(
                    aimed, [embedded], retain_graph=True, allow_unused=True
                )
        except RuntimeError:  # a graph that can be walked once only
            self._looks = len(LOOKS)
            return
        finally:
            self._looking = False
        if slope is not None and slope.ndim == 3:
            size = slope.float().square().sum((0, 2))
            future = size[len(size) // 2 :].sum() / size.sum().clamp_min(1e-30)
            name = f"leak/{self._model}/future"
            self.recorder.vector([future], lambda values: {name: values[0]})

    def _compare(self, tokens: Tensor, targets: Tensor) -> None:
        rows = max(1, MOST_TOKENS // tokens.shape[1])
        t, y = tokens[:rows], targets[:rows]
        known = (y >= 0).float()
        same = ((t == y) * known).sum() / known.sum().clamp_min(1)
        following = (t[:, 1:] == y[:, :-1]) * known[:, :-1]
        after = following.sum() / known[:, :-1].sum().clamp_min(1)
        self.hold([same, after], [f"leak/{self._model}/{k}" for k in ("same", "next")])

    def _wants_look(self) -> bool:
        """Whether the next step may be one to look in."""
        step = self.recorder.clock.step + 1
        return self._looks < len(LOOKS) and step >= LOOKS[self._looks]
