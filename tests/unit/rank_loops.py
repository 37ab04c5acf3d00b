"""Loops of two ranks, each trained alone and watched: `torchrun rank_loops.py FOLDER`.

Writes what came of it to FOLDER/told-<rank>.json: whether all state is bitwise the same, and how
many collectives the loop itself started.
"""

import json
import sys
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import distributed, nn
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

import unstuck

STEPS = 20


def network(norm=False):
    first = [nn.Linear(10, 24), nn.BatchNorm1d(24)] if norm else [nn.Linear(10, 24)]
    return nn.Sequential(*first, nn.ReLU(), nn.Dropout(0.2), nn.Linear(24, 5))


def prepared(model):
    torch.manual_seed(distributed.get_rank() + 7)
    return model, torch.optim.AdamW(model.parameters(), lr=1e-2)


def fit(model, optimizer, micro=1, sync=lambda on: None):
    for _ in range(STEPS):
        optimizer.zero_grad()
        for i in range(micro):
            sync(i == micro - 1)
            x = torch.randn(8, 10)
            out = model(x)
            fit = F.cross_entropy(out, x[:, :5].argmax(1))
            small = out.square().mean()
            loss = (fit + 0.1 * small) / micro
            loss.backward()
        optimizer.step()
    return state(model, optimizer)


def state(model, optimizer):
    held = [*model.parameters(), *model.buffers()]
    for one in optimizer.state_dict()["state"].values():
        held += [v for v in one.values() if isinstance(v, torch.Tensor)]
    return [getattr(t, "_local_tensor", t).detach().clone() for t in held] + [torch.get_rng_state()]


def ddp(norm=False, **options):
    torch.manual_seed(0)
    return prepared(DistributedDataParallel(network(norm), **options))


def ddp_accumulating():
    model, optimizer = ddp()
    return fit(model, optimizer, 3, lambda on: setattr(model, "require_backward_grad_sync", on))


class Checkpointed(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = network(), nn.Linear(5, 5)

    def forward(self, x):
        return self.last(checkpoint(self.first, x, use_reentrant=False))


def ddp_checkpointed():
    torch.manual_seed(0)
    return fit(*prepared(DistributedDataParallel(Checkpointed())))


def sharded():
    torch.manual_seed(0)
    model = network()
    for layer in model:
        if isinstance(layer, nn.Linear):
            fully_shard(layer)
    return prepared(fully_shard(model))


def fsdp_accumulating():
    model, optimizer = sharded()
    return fit(model, optimizer, 3, model.set_requires_gradient_sync)


class WithLosses(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = network()

    def forward(self, x):
        out = self.net(x)
        return F.cross_entropy(out, x[:, :5].argmax(1)), out.square().mean()


def fsdp_returning_losses():
    torch.manual_seed(0)
    model, optimizer = prepared(fully_shard(WithLosses()))
    for _ in range(STEPS):
        fit, small = model(torch.randn(8, 10))
        loss = fit + 0.1 * small
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return state(model, optimizer)


LOOPS = {
    "ddp": lambda: fit(*ddp()),
    "ddp_statistics": lambda: fit(*ddp(norm=True)),
    "ddp_accumulating": ddp_accumulating,
    "ddp_checkpointed": ddp_checkpointed,
    "ddp_unused_parameters": lambda: fit(*ddp(find_unused_parameters=True)),
    "ddp_static_graph": lambda: fit(*ddp(static_graph=True)),
    "fsdp": lambda: fit(*sharded()),
    "fsdp_accumulating": fsdp_accumulating,
    "fsdp_returning_losses": fsdp_returning_losses,
}


def talks(loop):
    """What a loop leaves behind, and how many collectives it started."""
    group = distributed.group.WORLD
    before = group._get_sequence_number_for_group()
    left = loop()
    return left, group._get_sequence_number_for_group() - before


def main(folder):
    warnings.simplefilter("ignore")  # a network all of whose parameters are used is slower so
    torch.set_num_threads(1)
    distributed.init_process_group("gloo")
    told = {}
    for name, loop in LOOPS.items():
        alone, count = talks(loop)
        with unstuck.watch(out=folder / name):
            watched, count_watched = talks(loop)
        told[name] = {
            "same": all(torch.equal(a, b) for a, b in zip(alone, watched, strict=True)),
            "numbers": sum(t.numel() for t in alone),
            "talks": count,
            "talks_watched": count_watched,
        }
    (folder / f"told-{distributed.get_rank()}.json").write_text(json.dumps(told))
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
