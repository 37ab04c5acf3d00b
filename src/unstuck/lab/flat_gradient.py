"""Gradients as flat vectors: whole for small models, of large ones the same sample each time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from unstuck.experiment import NotProbed
from unstuck.lab.subject import Subject

WHOLE = 1 << 12  # numbers of one parameter that are always taken


@dataclass(frozen=True, slots=True)
class Flat:
    """Which numbers are taken of each parameter: every n-th, scaled so that squares add up to all.

    A vector's squared length is then that of the whole, up to the sampling.
    """

    names: tuple[str, ...]
    parameters: tuple[nn.Parameter, ...]
    every: tuple[int, ...]

    @classmethod
    def of(cls, subject: Subject, most: int) -> "Flat":
        """For the parameters that training changes; `most` numbers, and WHOLE of each parameter."""
        named = {id(p): n for n, p in subject.model.named_parameters()}
        asking = tuple(p for p in subject.parameters if p.requires_grad)
        if not asking:
            raise NotProbed("no parameter of the model asks for gradients")
        share = max(1.0, sum(p.numel() for p in asking) / most)
        every = tuple(_stride(p.numel(), share) for p in asking)
        return cls(tuple(named[id(p)] for p in asking), asking, every)

    @property
    def spans(self) -> list[slice]:
        """Where each parameter's numbers lie in a vector."""
        found, at = [], 0
        for parameter, every in zip(self.parameters, self.every, strict=True):
            numbers = -(-parameter.numel() // every) * (2 if parameter.is_complex() else 1)
            found.append(slice(at, at + numbers))
            at += numbers
        return found

    def groups(self, most: int) -> dict[str, list[slice]]:
        """The spans by group of layers, as fine as `most` groups allow; one more for the rest."""
        owners = [name.rsplit(".", 1)[0].split(".") for name in self.names]
        found: dict[str, list[slice]] = {}
        for depth in range(1, 1 + max(len(owner) for owner in owners)):
            groups: dict[str, list[slice]] = {}
            for owner, span in zip(owners, self.spans, strict=True):
                groups.setdefault(".".join(owner[:depth]), []).append(span)
            if found and len(groups) > most:
                break
            found = groups
        kept = dict(list(found.items())[:most])
        rest = [span for name, spans in found.items() if name not in kept for span in spans]
        return kept | ({"the rest": rest} if rest else {})

    def vector(self, tensors: Sequence[Tensor | None]) -> Tensor:
        """One tensor for each parameter (None: zeros) as a vector in single precision."""
        return self._joined(tensors, scaled=True)

    def taken(self, tensors: Sequence[Tensor]) -> Tensor:
        """The same numbers of one tensor for each parameter as they are."""
        return self._joined(tensors, scaled=False)

    def _joined(self, tensors: Sequence[Tensor | None], scaled: bool) -> Tensor:
        parts = []
        for tensor, parameter, every in zip(tensors, self.parameters, self.every, strict=True):
            dense = torch.zeros_like(parameter) if tensor is None else tensor.detach()
            if dense.layout != torch.strided:
                dense = dense.to_dense()
            some = dense.reshape(-1)[::every]
            real = torch.view_as_real(some).reshape(-1) if some.is_complex() else some
            stands_for = (parameter.numel() / max(1, len(some))) ** 0.5 if scaled else 1.0
            parts.append(real.float() * stands_for)
        device = parts[0].device
        return torch.cat([part.to(device) for part in parts])

    def weights(self) -> Tensor:
        """The parameters' own values."""
        return self.vector(self.parameters)

    def left(self) -> Tensor:
        """What lies in `.grad`."""
        return self.vector([p.grad for p in self.parameters])

    def gradient(self, subject: Subject, batch: Any, seed: int | None = None) -> Tensor:
        """The loss's gradient on a batch, with these random numbers; it is left in `.grad`, too.

        By a backward pass: `autograd.grad` skips layers that are recomputed.
        """
        if seed is not None:
            torch.manual_seed(seed)
        clear(subject.model)
        loss = subject.value(batch)
        if not loss.requires_grad:
            raise NotProbed("the loss has no gradient: its graph was cut between model and loss")
        loss.backward()
        return self.left()


def slopes(loss: Tensor, parameters: Sequence[nn.Parameter]) -> list[Tensor | None]:
    """The loss's gradient for each parameter, None where it does not come; the graph is kept.

    By a backward pass: `autograd.grad` skips layers that are recomputed. They stay in `.grad`.
    """
    for parameter in parameters:
        (getattr(parameter, "_post_accumulate_grad_hooks", None) or {}).clear()
        parameter.grad = None
    loss.backward(retain_graph=True)
    return [parameter.grad for parameter in parameters]


def let_gradients_be(model: nn.Module) -> None:
    """No step is made within the backward pass, as some make it to save memory."""
    for parameter in model.parameters():
        (getattr(parameter, "_post_accumulate_grad_hooks", None) or {}).clear()


def clear(*modules: nn.Module) -> None:
    """No gradients from before."""
    for module in modules:
        for parameter in module.parameters():
            parameter.grad = None


def _stride(numbers: int, share: float) -> int:
    """Every how many numbers of a parameter one is taken; odd, so that no column is met alone."""
    every = int(min(share, max(1.0, numbers / WHOLE)))
    return every if every < 2 else every | 1
