"""torch.compile: watching breaks no graph, compiles nothing again, changes no bit."""

import pytest
import torch
from loops import state
from torch import nn

import unstuck

BACKEND = "aot_eager"  # autograd and graph breaks as in the default one, without a C compiler


def loop(kind):
    """Train and evaluate a model compiled in one of three ways; state, and what dynamo counted."""
    from torch._dynamo.utils import counters

    torch._dynamo.reset()
    counters.clear()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    called = torch.compile(model, backend=BACKEND) if kind == "model" else model
    if kind == "method":
        model.compile(backend=BACKEND)

    def loss_of(x):
        fit = (called(x) - x[:, :1]).square().mean()
        small = model[0].weight.square().mean()
        return fit + 0.1 * small

    if kind == "loss":
        loss_of = torch.compile(loss_of, backend=BACKEND)
    for step in range(40):
        loss = loss_of(torch.randn(8, 6))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 9:
            model.eval()
            with torch.no_grad():
                nn.functional.mse_loss(called(torch.randn(8, 6)), torch.zeros(8, 1))
            model.train()
    told = {key: dict(counters[key]) for key in ("graph_break", "frames", "stats", "recompiles")}
    return state([model], [optimizer]), told


@pytest.mark.parametrize("kind", ["model", "method", "loss"])
def test_no_graph_is_broken_and_nothing_compiled_again(kind, tmp_path):
    alone, before = loop(kind)
    with unstuck.watch(out=tmp_path / "run", budget=None) as run:
        watched, after = loop(kind)
    assert after == before
    assert not after["graph_break"]
    assert all(torch.equal(a, b) for a, b in zip(alone, watched, strict=True))
    series = unstuck.load(run.path).series
    assert len(series["loss/loss"]) == 40
    assert "update_ratio/optimizer" in series
