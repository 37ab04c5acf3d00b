"""How scripts accumulate: right, and wrong in every usual way. Each gives `accumulate`."""

import torch
import torch.nn.functional as F
from torch import nn

LOSS = F.cross_entropy


def averaged(model, optimizer):
    def accumulate(model, micro_batches):
        for x, y in micro_batches:
            (LOSS(model(x), y) / len(micro_batches)).backward()

    return accumulate


def averaged_with_step(model, optimizer):
    """Clips the whole, steps and clears, as scripts do."""

    def accumulate(model, micro_batches):
        model.train()
        for i, batch in enumerate(micro_batches):
            (LOSS(model(batch[0]), batch[1]) / 4).backward()
            if (i + 1) % 4 == 0:
                optimizer.step()
                optimizer.zero_grad()

    return accumulate


def clipped_as_a_whole(model, optimizer):
    def accumulate(model, micro_batches):
        averaged(model, optimizer)(model, micro_batches)
        nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()

    return accumulate


def of_sums(model, optimizer):
    def accumulate(model, micro_batches):
        count = sum(len(y) for _, y in micro_batches)
        for x, y in micro_batches:
            (LOSS(model(x), y, reduction="sum") / count).backward()

    return accumulate


def unscaled(model, optimizer):
    def accumulate(model, micro_batches):
        for x, y in micro_batches:
            LOSS(model(x), y).backward()

    return accumulate


def cleared_each_time(model, optimizer):
    def accumulate(model, micro_batches):
        for x, y in micro_batches:
            optimizer.zero_grad()
            (LOSS(model(x), y) / len(micro_batches)).backward()
        optimizer.step()

    return accumulate


def cleared_each_time_unscaled(model, optimizer):
    def accumulate(model, micro_batches):
        for x, y in micro_batches:
            optimizer.zero_grad()
            LOSS(model(x), y).backward()

    return accumulate


def cleared_half_way(model, optimizer):
    def accumulate(model, micro_batches):
        for i, (x, y) in enumerate(micro_batches):
            if i % 2 == 0:
                model.zero_grad()
            (LOSS(model(x), y) / len(micro_batches)).backward()

    return accumulate


def cleared_before_the_step(model, optimizer):
    def accumulate(model, micro_batches):
        averaged(model, optimizer)(model, micro_batches)
        optimizer.zero_grad()
        optimizer.step()

    return accumulate


def another_steps(model, optimizer):
    other = nn.Linear(2, 2)
    theirs = torch.optim.Adam(other.parameters())

    def accumulate(model, micro_batches):
        averaged(model, optimizer)(model, micro_batches)
        other(torch.ones(1, 2)).sum().backward()
        theirs.step()

    return accumulate


def first_layer_cut_off(model, optimizer):
    def accumulate(model, micro_batches):
        for x, y in micro_batches:
            hidden = model[0](x).detach()
            (LOSS(model[1:](hidden), y) / len(micro_batches)).backward()
        optimizer.step()

    return accumulate


def clipped_each_time(model, optimizer):
    def accumulate(model, micro_batches):
        for x, y in micro_batches:
            (LOSS(model(x), y) / len(micro_batches)).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.05)

    return accumulate


def each_clipped_alone(model, optimizer):
    def accumulate(model, micro_batches):
        parameters = list(model.parameters())
        total = [torch.zeros_like(p) for p in parameters]
        for x, y in micro_batches:
            model.zero_grad()
            LOSS(model(x), y).backward()
            nn.utils.clip_grad_norm_(parameters, 0.3)
            total = [
                t + p.grad / len(micro_batches) for t, p in zip(total, parameters, strict=True)
            ]
        for p, t in zip(parameters, total, strict=True):
            p.grad = t

    return accumulate


def stepped_each_time(model, optimizer):
    def accumulate(model, micro_batches):
        for x, y in micro_batches:
            optimizer.zero_grad()
            LOSS(model(x), y).backward()
            optimizer.step()

    return accumulate


HEALTHY = (averaged, averaged_with_step, of_sums)
FAULTS = {
    unscaled: "unscaled",
    cleared_each_time: "discarded",
    cleared_each_time_unscaled: "discarded",
    cleared_half_way: "discarded",
    cleared_before_the_step: "discarded",
    another_steps: "frozen",
    first_layer_cut_off: "frozen",
    clipped_each_time: "clipped per micro-batch",
    each_clipped_alone: "clipped per micro-batch",
    stepped_each_time: "stepped early",
    clipped_as_a_whole: "scaled as a whole",
}
