"""What is recorded of recurrences, old graphs and noise equals a slow obvious twin."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import unstuck


class Reader(nn.Module):
    """A recurrent layer and a head on its last state."""

    def __init__(self, kind, **options):
        super().__init__()
        self.layer = getattr(nn, kind)(2, 8, batch_first=True, **options)
        self.head = nn.Linear(16 if options.get("bidirectional") else 8, 1)

    def forward(self, x):
        return self.head(self.layer(x)[0][:, -1]).squeeze(1)


class Cells(nn.Module):
    """The same written as a loop over a cell."""

    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.RNNCell(2, 8), nn.Linear(8, 1)
        self.states = []

    def forward(self, x):
        state, self.states = torch.zeros(len(x), 8), []
        for t in range(x.shape[1]):
            state = self.cell(x[:, t], state)
            state.retain_grad()
            self.states.append(state)
        return self.head(state).squeeze(1)


def train(model, steps=20, after=lambda model: None, lr=0.01):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for _ in range(steps):
        x = torch.randn(5, 24, 2)
        loss = F.mse_loss(model(x), x[:, :, 0].mean(1))
        optimizer.zero_grad()
        loss.backward()
        after(model)
        optimizer.step()


def ratio(norms):
    eighth = len(norms) // 8
    return float(norms[:eighth].mean() / norms[-eighth:].mean())


@pytest.mark.parametrize("gain", [1.0, 4.0])
def test_the_gradient_by_time_of_a_layer_that_runs_over_sequences(tmp_path, gain):
    torch.manual_seed(0)
    model = Reader("RNN")
    with torch.no_grad():
        model.layer.weight_hh_l0.mul_(gain)
    cell = nn.RNNCell(2, 8)
    cell.load_state_dict({n.removesuffix("_l0"): p for n, p in model.layer.state_dict().items()})
    torch.manual_seed(1)
    with unstuck.watch(out=tmp_path / "run", budget=None) as run:
        train(model, steps=1)
    torch.manual_seed(1)
    x = torch.randn(5, 24, 2)[:4].requires_grad_()
    state = torch.zeros(4, 8)
    for t in range(24):
        state = cell(x[:, t], state)
    gradient = torch.autograd.grad(state, x, state.detach())[0]
    wanted = ratio(gradient.norm(dim=(0, 2)))
    found = unstuck.load(run.path).series["recurrence/model.layer/gradient_ratio"]
    assert found.value[0] == pytest.approx(wanted, rel=1e-3)


def test_the_gradient_by_time_of_a_cell_in_a_loop(tmp_path):
    torch.manual_seed(0)
    model, wanted = Cells(), []

    def note(model):
        wanted.append(ratio(torch.stack([s.grad.norm() for s in model.states])))

    with unstuck.watch(out=tmp_path / "run", budget=None) as run:
        train(model, after=note)
    found = unstuck.load(run.path).series["recurrence/model.cell/gradient_ratio"]
    assert found.step.tolist() == [1, 2, 3, 4, 16]
    assert found.value == pytest.approx([wanted[s] for s in found.step], rel=1e-3)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("LSTM", {"num_layers": 2, "dropout": 0.3, "bidirectional": True}), ("GRU", {})],
)
def test_watching_recurrent_layers_changes_no_bit(tmp_path, kind, options):
    def left(watched):
        torch.manual_seed(0)
        model = Reader(kind, **options)
        if watched:
            with unstuck.watch(out=tmp_path / "run", budget=None) as run:
                train(model, steps=60)
            series = unstuck.load(run.path).series
            assert len(series["recurrence/model.layer/gradient_ratio"]) >= 3
        else:
            train(model, steps=60)
        return [*model.state_dict().values(), torch.get_rng_state()]

    assert all(torch.equal(a, b) for a, b in zip(left(False), left(True), strict=True))


def in_chunks(detach, chunks=6):
    torch.manual_seed(0)
    layer, head = nn.LSTM(2, 8, batch_first=True), nn.Linear(8, 2)
    optimizer = torch.optim.SGD([*layer.parameters(), *head.parameters()], lr=0.01)
    for _ in range(20):
        state = None
        optimizer.zero_grad()
        for _ in range(chunks):
            x = torch.randn(3, 10, 2)
            out, state = layer(x, state)
            if detach:
                state = tuple(s.detach() for s in state)
            loss = F.mse_loss(head(out), x)
            loss.backward(retain_graph=not detach)
        optimizer.step()


@pytest.mark.parametrize("detach", [True, False])
def test_a_state_that_is_carried_on_is_counted_chunk_by_chunk(tmp_path, detach):
    with unstuck.watch(out=tmp_path / "run", budget=None) as run:
        in_chunks(detach)
    found = unstuck.load(run.path).series["history/loss"]
    assert set(found.value.tolist()) == ({0.0} if detach else {5.0})


def test_losses_of_tasks_that_share_a_trunk_reach_back_once(tmp_path):
    torch.manual_seed(0)
    trunk, heads = nn.Linear(4, 8), nn.ModuleList(nn.Linear(8, 1) for _ in range(5))
    optimizer = torch.optim.SGD([*trunk.parameters(), *heads.parameters()], lr=0.01)
    with unstuck.watch(out=tmp_path / "run", budget=None) as run:
        for _ in range(20):
            shared = trunk(torch.randn(6, 4)).tanh()
            losses = [head(shared).square().mean() for head in heads]
            optimizer.zero_grad()
            for loss in losses:
                loss.backward(retain_graph=True)
            optimizer.step()
    assert max(unstuck.load(run.path).series["history/loss"].value) <= 1


def test_the_agreement_of_gradients_and_the_floor_of_their_noise(tmp_path):
    torch.manual_seed(0)
    model, gradients = nn.Linear(6, 1), []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.5)
    with unstuck.watch(out=tmp_path / "run", budget=None) as run:
        for _ in range(40):
            x = torch.randn(4, 6)
            loss = F.mse_loss(model(x), x[:, :1] + torch.randn(4, 1))
            optimizer.zero_grad()
            loss.backward()
            gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
            optimizer.step()
    series = unstuck.load(run.path).series
    agreement, floor = series["gradient_agreement/optimizer"], series["noise_floor/optimizer"]
    assert agreement.step.tolist() == [1, 2, 3, 4, 5, 17, 33]
    twin = [F.cosine_similarity(gradients[s - 1], gradients[s], dim=0) for s in agreement.step]
    assert agreement.value == pytest.approx([float(c) for c in twin], abs=1e-4)
    twin = [gradients[s].square().sum() * 0.05 / (1 - 0.5) / 4 for s in floor.step]
    assert floor.value == pytest.approx([float(f) for f in twin], rel=1e-3)


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_the_floor_is_what_a_lower_rate_gains(tmp_path, kind):
    """A quadratic loss of pure noise around its minimum: the excess over it is known."""
    torch.manual_seed(0)
    model = nn.Linear(20, 1, bias=False)
    rate = {"SGD": 0.02, "Adam": 0.02}[kind]
    optimizer = getattr(torch.optim, kind)(model.parameters(), lr=rate)
    excess = []
    with unstuck.watch(out=tmp_path / "run", budget=None) as run:
        for step in range(3000):
            x = torch.randn(4, 20)
            loss = 0.5 * (model(x) - torch.randn(4, 1)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step > 1000:
                excess.append(0.5 * float(model.weight.detach().square().sum()))
    floor = unstuck.load(run.path).series["noise_floor/optimizer"]
    found = floor.value[floor.step > 1000].mean()
    assert found == pytest.approx(sum(excess) / len(excess), rel=0.5)
