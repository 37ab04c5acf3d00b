"""Plain networks of other sizes, to which a model can be compared on its own data and loss."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from unstuck.experiment import NotProbed
from unstuck.lab.short_training import measured, seeded
from unstuck.lab.subject import Subject
from unstuck.lab.untouched import untouched

NO_ERROR = 0.05  # of the model's loss
SIDE = 32  # pictures are averaged to at most so many pixels
LARGEST = 20_000  # numbers of an input, and of an output
QUIET = 0.3  # of the spread of all numbers: a column that hardly varies is not blown up
WIDTH = 256  # of the larger one, twice


class Reference(nn.Module):
    """From all numbers of the input to all of the output: linear, or with two hidden layers."""

    def __init__(self, inputs: Tensor, output: Tensor, width: int = 0) -> None:
        super().__init__()
        rows = _rows(inputs)
        self.shape = output.shape[1:]
        self.register_buffer("mean", rows.mean(0))
        each, all_of = rows.std(0, correction=0), rows.std(correction=0)
        self.register_buffer("size", each.clamp(min=float(QUIET * all_of) or 1.0))
        ends = rows.shape[1], math.prod(self.shape)
        layers: list[nn.Module] = [nn.Linear(*ends)]
        if width:
            layers = [nn.Linear(ends[0], width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()]
            layers.append(nn.Linear(width, ends[1]))
        self.layers = nn.Sequential(*layers).to(rows.device)

    def forward(self, inputs: Tensor) -> Tensor:
        mean, size = self.get_buffer("mean"), self.get_buffer("size")
        out: Tensor = self.layers((_rows(inputs) - mean) / size)
        return out.reshape(len(inputs), *self.shape)


def references(subject: Subject, batch: Any) -> tuple[Reference, Reference]:
    """A linear map and a plain network of two hidden layers from the model's input to its output.

    NotProbed where that is not from one tensor of numbers to one other.
    """
    seeded(0)
    calls = subject.calls(batch)
    if len(calls) != 1:
        raise NotProbed(f"the loss calls the model {len(calls)} times: only one call is understood")
    call = calls[0]
    inputs = call.args[0] if len(call.args) == 1 and not call.kwargs else None
    for value, what in ((inputs, "input"), (call.output, "output")):
        if not (isinstance(value, Tensor) and value.is_floating_point() and value.ndim > 1):
            raise NotProbed(f"the model's {what} is no single tensor of numbers, sample by sample")
    assert isinstance(inputs, Tensor)
    if len(inputs) != len(call.output):
        raise NotProbed("the model gives another number of samples than it is handed")
    for rows, what in ((_rows(inputs), "input"), (call.output.flatten(1), "output")):
        if rows.shape[1] > LARGEST:
            raise NotProbed(f"{rows.shape[1]} numbers of {what} are too many for a plain network")
    if inputs.shape == call.output.shape and _copies(subject, batch):
        raise NotProbed("the answer is the input itself: any network without a bottleneck gives it")
    seeded(0)
    return Reference(inputs, call.output), Reference(inputs, call.output, WIDTH)


def _copies(subject: Subject, batch: Any) -> bool:
    """Whether the input, taken for the output, is next to no error."""
    with untouched((subject.model, *subject.others)), torch.no_grad():
        intact = measured(subject.value, [batch], seed=0)
        subject.model.forward = lambda inputs: inputs
        return measured(subject.value, [batch], seed=0) < NO_ERROR * intact


def stand_in(model: nn.Module, reference: Reference) -> None:
    """Let the reference answer for the model, until the model is put back."""
    dtype = next((p.dtype for p in model.parameters()), torch.float32)
    model.forward = lambda inputs: reference(inputs).to(dtype)


def _rows(inputs: Tensor) -> Tensor:
    if inputs.ndim == 4 and max(inputs.shape[2:]) > SIDE:
        height, width = (min(side, SIDE) for side in inputs.shape[2:])
        inputs = functional.adaptive_avg_pool2d(inputs, (height, width))
    return inputs.detach().float().flatten(1)
