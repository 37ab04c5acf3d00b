"""A model without its regularisation: no dropout, no decay, no noise of training."""

from typing import Any

from torch import nn
from torch.optim import Optimizer

from unstuck.lab.short_training import seeded, train_mode
from unstuck.lab.subject import Subject

NORMS = nn.modules.batchnorm._BatchNorm
DROPS = nn.modules.dropout._DropoutNd
CANNOT = (RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError)


def without_regularisation(subject: Subject, batch: Any) -> str:
    """Change the model to a mode without chance in which its loss can be had; say which.

    Evaluation mode, but batch norms normalise by the batch at hand, as in training, unless they
    were frozen; recurrent layers, too, are as in training, without their dropout. A model whose
    loss is there in training only keeps that mode, with its dropout layers off.
    """
    model = subject.model
    trains = model.training
    norms = [m for m in model.modules() if isinstance(m, NORMS) and (m.training or not trains)]
    model.eval()
    for module in model.modules():
        if isinstance(module, nn.RNNBase):
            module.dropout, module.training = 0.0, True
    for norm in norms:
        norm.training = True
    if _works(subject, batch):
        return "dropout off, batch norm by the batch" if norms else "dropout off"
    for norm in norms:
        norm.training = False
    if norms and _works(subject, batch):
        return "dropout off, batch norm by its running statistics"
    train_mode(model)
    for module in model.modules():
        if isinstance(module, DROPS):
            module.training = False
    return "training mode, dropout layers off"


def without_decay(optimizer: Optimizer) -> None:
    for group in optimizer.param_groups:
        if "weight_decay" in group:
            group["weight_decay"] = 0.0


def _works(subject: Subject, batch: Any) -> bool:
    seeded(0)
    try:
        return subject.value(batch).grad_fn is not None
    except CANNOT:
        return False
