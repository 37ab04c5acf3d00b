"""Running a model again with what flows into its joins replaced."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from unstuck.experiment import NotProbed
from unstuck.lab.executed import in_plain_steps
from unstuck.lab.executed_graph import Join
from unstuck.lab.executed_kinds import JOINS, plain

Change = Callable[[Tensor], Tensor]
Changes = Mapping[tuple[Join, int], Change]  # of an operand of a join, by its place


def again(run: Callable[[], Any], changes: Changes) -> Any:
    """What `run` gives with these operands changed.

    Joins are told by the order of execution; NotProbed where the run executes others this time.
    """
    if not changes:
        return run()
    mode = _Changed(changes)
    with in_plain_steps(), mode:
        found = run()
    if mode.left:
        raise NotProbed(
            "the model executed other operations the second time; give it a fixed control flow, "
            "such as evaluation mode, a fixed number of steps"
        )
    return found


class _Changed(TorchDispatchMode):
    def __init__(self, changes: Changes) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.left: dict[int, list[tuple[Join, int, Change]]] = {}
        for (join, place), change in changes.items():
            self.left.setdefault(join.index, []).append((join, place, change))
        self.seen = -1

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = plain(func._schema.name)
        if name in JOINS:
            self.seen += 1
            wanted = self.left.get(self.seen)
            if wanted and wanted[0][0].op == name:
                del self.left[self.seen]
                args = _with(args, wanted, in_place=func._schema.is_mutable)
        return func(*args, **(kwargs or {}))


def _with(
    args: tuple[Any, ...], wanted: Iterable[tuple[Join, int, Change]], in_place: bool
) -> tuple[Any, ...]:
    """The arguments of a sum or concatenation, some operands changed."""
    listed = isinstance(args[0], list | tuple)
    parts = list(args[0]) if listed else list(args)
    for _, place, change in wanted:
        new = change(parts[place])
        if in_place and place == 0:
            parts[0].copy_(new)  # what is added to is the result as well
        else:
            parts[place] = new
    return (parts, *args[1:]) if listed else tuple(parts)


def silent(tensor: Tensor) -> Tensor:
    return torch.zeros_like(tensor)


def of_another(samples: int) -> Change:
    """Each sample gets what belongs to another one of the batch, half a batch away."""

    def change(tensor: Tensor) -> Tensor:
        if tensor.ndim > 2 and len(tensor) != samples and tensor.shape[1] == samples:
            return tensor.roll(samples // 2, 1)
        parts = len(tensor) // samples  # rows a sample has, or batches that were joined
        if parts < 2:
            return tensor.roll(max(1, len(tensor) // 2), 0)
        return tensor.roll(parts * max(1, samples // 2 - 1), 0)

    return change


def average(tensor: Tensor) -> Tensor:
    """The mean over the batch, for every sample."""
    return tensor.mean(0, keepdim=True).expand_as(tensor).contiguous()
