"""Cut graphs, what branches add and saturated layers are told as a slow look tells them."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from loops import state
from torch import nn

import unstuck
from unstuck.watcher.collectors.cut_graphs import Memories


class Net(nn.Module):
    """A stem, two branches side by side, a residual block behind a gate, a head."""

    def __init__(self, cut=None, seen=None):
        super().__init__()
        self.stem = nn.Sequential(nn.Linear(10, 16), nn.Sigmoid())
        self.left, self.right = nn.Linear(16, 16), nn.Linear(16, 16)
        self.last = nn.Linear(16, 16)
        self.block, self.gate = nn.Linear(16, 16), nn.Parameter(torch.tensor(0.01))
        self.head, self.unused = nn.Linear(16, 3), nn.Linear(16, 2)
        self.cut, self.seen = cut, seen

    def forward(self, x):
        h = self.stem(x)
        self.spare = self.unused(h)
        if self.cut:
            h = self.cut(h)
        left, right = self.left(h), self.right(h)
        both = F.relu(left + right)
        inner = self.last(torch.tanh(self.block(both)))
        if self.seen is not None:
            self.seen.append(
                [t.detach() for t in (h, left, right, left + right, torch.tanh(self.block(both)))]
            )
        return self.head(both + self.gate * inner)


def train(model, steps=8, scale=1.0):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(steps):
        x = scale * torch.randn(8, 10)
        loss = F.cross_entropy(model(x), x[:, :3].argmax(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return state([model], [optimizer])


def watched(loop, folder):
    torch.manual_seed(0)
    with unstuck.watch(out=folder / "run", budget=None) as run:
        loop()
    return unstuck.load(run.path)


def at(run, name, step):
    series = run.series[name]
    return float(series.value[series.step == step][0])


CUTS = {
    "detach": lambda h: h.detach(),
    "data": lambda h: h.data,
    "numpy": lambda h: torch.from_numpy(h.detach().numpy()),
    "new": lambda h: torch.tensor((2 * h).tolist()),
}


@pytest.mark.parametrize("name", CUTS)
def test_layers_in_front_of_a_cut_are_counted(name, tmp_path):
    run = watched(lambda: train(Net(CUTS[name])), tmp_path)
    # stem and unused, two tensors each, of fifteen
    assert run.series["cut_off/optimizer"].value.tolist() == pytest.approx([4 / 15] * 5)
    place = run.facts["cut_off/optimizer/at"]
    assert place.endswith(" -> model.left")
    assert place.startswith("model.unused" if name == "new" else "model.stem.1")


def test_memory_that_was_given_back_is_nobodys():
    known, place = Memories(), np.zeros(1000)
    first = torch.from_numpy(place)
    known.keep(first, "first")
    assert known.name(torch.from_numpy(first.detach().numpy())) == "first"
    del first
    second = torch.from_numpy(place)
    assert known.name(second) is None
    known.keep(second, "second")
    assert known.name(second.view(10, 100)) == "second"


def test_a_head_nobody_asks_is_no_cut(tmp_path):
    run = watched(lambda: train(Net()), tmp_path)
    assert set(run.series["cut_off/optimizer"].value) == {0.0}
    assert run.series["gradient_reach/optimizer"].value[-1] < 1


def test_a_cut_between_two_models_is_seen(tmp_path):
    def loop():
        stem, head = nn.Linear(10, 8), nn.Linear(8, 3)
        optimizer = torch.optim.SGD([*stem.parameters(), *head.parameters()], lr=0.1)
        for _ in range(6):
            x = torch.randn(8, 10)
            features = stem(x).detach()
            loss = F.cross_entropy(head(features), x[:, :3].argmax(1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    run = watched(loop, tmp_path)
    assert set(run.series["cut_off/optimizer"].value) == {0.5}
    assert run.facts["cut_off/optimizer/at"] == "stem -> head"


def test_two_views_of_which_one_is_cut_are_no_cut(tmp_path):
    def loop():
        encoder, predictor = nn.Linear(10, 8), nn.Linear(8, 8)
        optimizer = torch.optim.SGD([*encoder.parameters(), *predictor.parameters()], lr=0.1)
        for _ in range(6):
            one, other = encoder(torch.randn(8, 10)), encoder(torch.randn(8, 10))
            loss = F.mse_loss(predictor(one), other.detach())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    assert set(watched(loop, tmp_path).series["cut_off/optimizer"].value) == {0.0}


def test_what_branches_add_is_their_share_of_the_sums_spread(tmp_path):
    seen = []
    run = watched(lambda: train(Net(seen=seen)), tmp_path)
    for step in (1, 3):
        _, left, right, total, _ = seen[step]
        assert at(run, "contribution/model.left", step) == pytest.approx(
            float(left.std() / total.relu().std()), rel=1e-4
        )
        assert at(run, "contribution/model.right", step) == pytest.approx(
            float(right.std() / total.relu().std()), rel=1e-4
        )
    assert "contribution/model.stem" not in run.series


class Gated(nn.Module):
    def __init__(self, seen):
        super().__init__()
        self.first, self.branch, self.head = nn.Linear(10, 16), nn.Linear(16, 16), nn.Linear(16, 3)
        self.gate, self.seen = nn.Parameter(torch.full((16,), 1e-3)), seen

    def forward(self, x):
        h = self.first(x)
        added = self.gate * self.branch(h)
        self.seen.append((added.detach(), (h + added).detach()))
        return self.head(h + added)


def test_what_a_gate_lets_through_is_what_a_branch_adds(tmp_path):
    seen = []
    run = watched(lambda: train(Gated(seen)), tmp_path)
    for step in (2, 3):
        if step in run.series["contribution/model.branch"].step:
            added, total = seen[step]
            assert at(run, "contribution/model.branch", step) == pytest.approx(
                float(added.std() / total.std()), rel=1e-2
            )
    assert len(run.series["contribution/model.branch"]) >= 1
    assert "contribution/model.first" not in run.series


def test_hidden_layers_at_their_ends_are_told_and_outputs_are_not(tmp_path):
    seen = []

    class Ended(Net):
        def forward(self, x):
            return torch.tanh(100 * super().forward(x))

    run = watched(lambda: train(Ended(seen=seen), scale=4.0), tmp_path)
    for step in range(5):
        hidden = seen[step][0]
        share = float(((hidden - 0.5).abs() > 0.49).float().mean())
        assert at(run, "activation/model.stem.1/saturated_fraction", step) == pytest.approx(share)
    inner = seen[0][-1]
    share = float((inner.abs() > 0.98).float().mean())
    assert at(run, "activation/model.last/saturated_fraction", 0) == pytest.approx(share)


def loop(kind):
    torch.manual_seed(0)
    return train(Net(CUTS[kind] if kind else None), steps=60)


@pytest.mark.parametrize("kind", [None, "detach"])
def test_watching_changes_no_bit_of_branches_and_cuts(kind, tmp_path):
    alone = loop(kind)
    kept = []
    run = watched(lambda: kept.extend(loop(kind)), tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(alone, kept, strict=True))
    assert not run.facts_matching("exit/*")
    assert run.matching("contribution/*") and run.matching("activation/*/saturated_fraction")
