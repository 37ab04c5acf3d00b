"""All that an experiment must leave as it was, in a form that can be compared bit by bit."""

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unstuck.lab.batch import tensors
from unstuck.lab.subject import Subject


def everything(subject: Subject) -> list[Any]:
    """The random states, the model, the optimizer, the batch."""
    state: list[Any] = [random.getstate(), np.random.get_state()[1].tobytes()]
    state += [torch.get_rng_state(), torch.is_grad_enabled(), torch.get_num_threads()]
    for name, module in subject.model.named_modules():
        hooks = [(k, list(v.items())) for k, v in vars(module).items() if "_hooks" in k and v]
        plain = {k: v for k, v in vars(module).items() if isinstance(v, int | float | str)}
        state += [name, hooks, plain]
    for name, tensor in (*subject.model.named_parameters(), *subject.model.named_buffers()):
        state += [
            name,
            id(tensor),
            tensor.data_ptr(),
            tensor.detach().clone(),
            tensor.requires_grad,
        ]
        state += [id(tensor.grad), None if tensor.grad is None else tensor.grad.clone()]
    if subject.optimizer is not None:
        held = subject.optimizer.state_dict()
        state += [repr(held["param_groups"])]
        for number, entry in held["state"].items():
            state += [(number, key, id(v)) for key, v in entry.items() if isinstance(v, Tensor)]
            state += [v.clone() if isinstance(v, Tensor) else v for v in entry.values()]
    return state + [t.clone() for t in tensors(subject.batch)]


def differences(before: list[Any], after: list[Any]) -> list[int]:
    """Where two such lists differ."""
    if len(before) != len(after):
        return [-1]
    return [
        i
        for i, (a, b) in enumerate(zip(before, after, strict=True))
        if (not torch.equal(a, b) if isinstance(a, Tensor) else a != b)
    ]
