"""Ways to train that save memory, tried on the model itself: autocast and checkpointing.

Checkpointing recomputes each block in the backward pass. Blocks are the entries of the outermost
sequences (nn.Sequential, nn.ModuleList, nn.ModuleDict) that have parts of their own. A sequence of
single layers is one block where there are several of them, and is cut into about sqrt(n) pieces
where it is the only one (Chen et al. 2016). A model without any sequence: its children.
"""

import contextlib
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from unstuck.lab import batch as batches_of
from unstuck.lab.allocation import Moments, moments_of, warmed_up
from unstuck.lab.allocation_growth import Growth, grown
from unstuck.lab.subject import Subject

SEQUENCES = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def measured(
    subject: Subject,
    sizes: Sequence[int],
    *,
    autocast: bool = False,
    recompute: bool = False,
    foreach: bool = False,
) -> Growth:
    """The memory of a training step as it grows with the batch, measured at these sizes.

    `foreach`: the optimizer works on all parameters at once, as it does by default on a GPU.
    """
    with _recomputed(subject.model) if recompute else contextlib.nullcontext():
        if foreach:
            all_at_once(subject)
        warmed_up(subject, sample(subject.batch, sizes[0]))
        steps: list[Moments] = []
        for size in sizes:
            half = torch.autocast(subject.device.type, torch.bfloat16) if autocast else None
            steps.append(moments_of(subject, sample(subject.batch, size), half))
    return grown(sizes, steps)


def sample(batch: Any, size: int) -> Any:
    """A batch of any size from the samples there are, in memory of its own."""
    present = batches_of.size(batch)
    return batches_of.taken(batch, [i % present for i in range(size)])


def all_at_once(subject: Subject) -> None:
    """Let the optimizer choose the implementation it has for GPUs, where nothing else is asked."""
    for group in subject.optimizer.param_groups if subject.optimizer is not None else ():
        if group.get("foreach", True) is None and not group.get("fused"):
            group["foreach"] = True


def blocks_of(model: nn.Module) -> list[tuple[nn.Module, int]]:
    """What is recomputed: modules, each in so many pieces."""
    sequences = list(_outermost(model))
    plain = [s for s in sequences if not any(_has_parts(part) for part in s.children())]
    found: list[tuple[nn.Module, int]] = []
    for sequence in sequences:
        if sequence not in plain:
            found += [(part, 1) for part in sequence.children() if _has_parts(part)]
        elif isinstance(sequence, nn.Sequential):
            alone = len(plain) == len(sequences) == 1
            found.append((sequence, round(math.sqrt(len(sequence))) if alone else 1))
        else:
            found += [(part, 1) for part in sequence.children()]
    return found or [(part, 1) for part in model.children()]


@contextlib.contextmanager
def _recomputed(model: nn.Module) -> Iterator[None]:
    blocks = [block for block in blocks_of(model) if "forward" not in vars(block[0])]
    try:
        for block, pieces in blocks:
            block.forward = _in_pieces(block, pieces)
        yield
    finally:
        for block, _ in blocks:
            vars(block).pop("forward", None)


def _in_pieces(block: nn.Module, pieces: int) -> Callable[..., Any]:
    if pieces == 1 or not isinstance(block, nn.Sequential):
        return functools.partial(checkpoint, block.forward, use_reentrant=False)
    parts = list(block)
    length = math.ceil(len(parts) / pieces)

    def run(part: list[nn.Module], x: Any) -> Any:
        for module in part:
            x = module(x)
        return x

    def forward(x: Any) -> Any:
        for at in range(0, len(parts), length):
            x = checkpoint(run, parts[at : at + length], x, use_reentrant=False)
        return x

    return forward


def _outermost(module: nn.Module) -> Iterator[nn.Module]:
    if isinstance(module, SEQUENCES) and len(module) > 1:
        yield module
        return
    for child in module.children():
        yield from _outermost(child)


def _has_parts(module: nn.Module) -> bool:
    return any(True for _ in module.children())
