"""r1/<discriminator> and r2/<discriminator>: gamma/2 x E |gradient of D by its input|^2.

R1 is taken on real samples, R2 on generated ones, of the very call that the discriminator's loss
is made of, as StyleGAN2 and R3GAN write it: no further forward pass, no further random number. It
joins the loss that is made of this call; a generator's loss never gets any. The gradient is that
of the sum of a sample's scores by everything the discriminator is handed as positional floating
tensors: of an image that was joined to a condition, by both. Which samples are real is told by
unstuck.watcher.judged; in a joint batch these are one half of it.

Not possible where the discriminator is called by keywords, puts out several tensors or cannot be
differentiated twice (torch.compile, flash attention): the run gets the fact why.

Reference: Mescheder et al. 2018 (R1), <https://arxiv.org/abs/1801.04406>; Roth et al. 2017,
<https://arxiv.org/abs/1705.09367>; Huang et al. 2024 (both), <https://arxiv.org/abs/2501.05441>
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from unstuck.changes import Change
from unstuck.watcher.intervention import Intervention, Interventions
from unstuck.watcher.judged import MADE, REAL, Call, Shares, judged
from unstuck.watcher.terms import Terms

NO_DERIVATIVE = ("::Error", "::NotImplemented")  # nodes that raise where a gradient gets to them


class RealPenalty(Intervention):
    kind = "r1"
    side = REAL

    def __init__(self, change: Change, interventions: Interventions) -> None:
        super().__init__(change, interventions)
        self._judged = judged(self)
        self._tried = False

    def start(self) -> None:
        self._judged.start()

    def stop(self) -> None:
        self._judged.stop()

    def model(self, name: str, model: nn.Module) -> None:
        self._judged.know(name, model)

    def loss(self, name: str, terms: Terms) -> Tensor | None:
        if self._judged.problem:
            self.refuse(self._judged.problem)
            return None
        calls = self._judged.reached(name, terms.loss)
        shown = [(call, shares) for call, shares in calls if self.side in shares]
        if not shown:
            return None
        try:
            penalty = torch.stack([self._penalty(call, shares) for call, shares in shown]).sum()
            self._try(penalty)
        except (RuntimeError, NotImplementedError) as error:
            self.refuse(f"{self.where} cannot be differentiated twice: {error}"[:200])
            return None
        self.applied()
        return self.change.value / 2 * penalty

    def after_step(self, name: str, optimizer: Optimizer) -> None:
        own = {id(p) for p in self._judged.parameters}
        if any(id(p) in own for group in optimizer.param_groups for p in group["params"]):
            self._judged.stepped()

    def _penalty(self, call: Call, shares: Shares) -> Tensor:
        """Mean over the samples of one kind of the squared norm of the gradient; a scalar."""
        assert call.output is not None
        slopes = torch.autograd.grad(call.output.sum(), call.inputs, create_graph=True)
        squares = torch.stack([s.float().square().flatten(1).sum(1) for s in slopes]).sum(0)
        half = len(squares) // 2
        kept = [
            part
            for part, side in zip((squares[:half], squares[half:]), shares, strict=True)
            if side == self.side
        ]
        return squares.mean() if len(kept) == 2 else kept[0].mean()

    def _try(self, penalty: Tensor) -> None:
        """One pass into nobody's gradients, the first time: a failure must be ours to hear of."""
        if not self._tried:
            if any(name.endswith(NO_DERIVATIVE) for name in _operations(penalty)):
                raise RuntimeError("a part of it has no second derivative")
            trained = [p for p in self._judged.parameters if p.requires_grad]
            torch.autograd.grad(penalty, trained, retain_graph=True, allow_unused=True)
            self._tried = True


class MadePenalty(RealPenalty):
    kind = "r2"
    side = MADE


def _operations(value: Tensor) -> Iterator[str]:
    """The names of all nodes of a value's graph."""
    left: list[Any] = [value.grad_fn]
    seen = set(left)
    while left:
        node = left.pop()
        yield node.name()
        below = {n for n, _ in node.next_functions if n is not None} - seen
        seen |= below
        left += below
