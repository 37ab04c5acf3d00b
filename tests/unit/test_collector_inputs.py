"""What is recorded of inputs, made samples and tokens equals a slow and obvious computation."""

import pytest
import torch
import torch.nn.functional as F
from loops import state
from torch import nn

import unstuck


def watched(body, tmp_path):
    with unstuck.watch(out=tmp_path / "run", budget=None) as run:
        body()
    return unstuck.load(run.path)


def nearest(x):
    """Median over the rows of the distance to the nearest other row, per number."""
    rows = x.flatten(1)
    away = [min((a - b).norm() for j, b in enumerate(rows) if j != i) for i, a in enumerate(rows)]
    return float(torch.stack(away).median()) / rows.shape[1] ** 0.5


def game(steps=20, condition=False, seen=None):
    """A small game; with a condition, the judge is handed it beside the sample."""
    torch.manual_seed(0)
    width = 8 if condition else 5
    netG = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 5))
    netD = nn.Sequential(nn.Linear(width, 16), nn.ReLU(), nn.Linear(16, 1))
    opt_g = torch.optim.Adam(netG.parameters(), lr=1e-3)
    opt_d = torch.optim.Adam(netD.parameters(), lr=1e-3)
    for _ in range(steps):
        z, real = torch.randn(12, 3), 2 * torch.randn(12, 5)
        fake = netG(z)

        def shown(x, z=z):
            return torch.cat([z, x], 1) if condition else x

        d_loss = (
            F.softplus(-netD(shown(real))).mean() + F.softplus(netD(shown(fake.detach()))).mean()
        )
        opt_d.zero_grad()
        d_loss.backward()
        opt_d.step()
        if seen is not None:
            seen.append((fake.detach().clone(), real))
        g_loss = F.softplus(-netD(shown(fake))).mean()
        opt_g.zero_grad()
        g_loss.backward()
        opt_g.step()
    return state([netG, netD], [opt_g, opt_d])


@pytest.mark.parametrize("condition", [False, True])
def test_made_samples_are_compared_with_real_ones(condition, tmp_path):
    seen = []
    run = watched(lambda: game(4, condition, seen), tmp_path)
    for kind, index in (("generated", 0), ("real", 1)):
        apart = [nearest(pair[index]) for pair in seen]
        assert run.series[f"{kind}/netD/nearest"].value == pytest.approx(apart, rel=1e-3)
        spread = [float(p[index].var(0, correction=0).mean().sqrt()) for p in seen]
        assert run.series[f"{kind}/netD/spread"].value == pytest.approx(spread, rel=1e-3)


def test_samples_the_user_tells_of(tmp_path):
    x = torch.randn(10, 2, 3, generator=torch.Generator().manual_seed(1))
    with unstuck.watch(out=tmp_path / "run", budget=None) as run:
        model = nn.Linear(3, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            loss = model(x).mean()
            run.generated(x, "faces")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    found = unstuck.load(run.path).series
    assert found["generated/faces/nearest"].value == pytest.approx([nearest(x)] * 3, rel=1e-4)
    assert found["generated/faces/rms"].value == pytest.approx(
        [float(x.square().mean().sqrt())] * 3, rel=1e-4
    )


def test_sparse_inputs_and_what_is_left_behind_the_first_layer(tmp_path):
    x = (torch.rand(20, 100, generator=torch.Generator().manual_seed(2)) < 0.05).float()
    seen = []

    def body():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(100, 8), nn.ReLU(), nn.Linear(8, 2))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(2):
            with torch.no_grad():
                seen.append(float(model[0](x).std(0, correction=0).mean()))
            loss = model(x).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    run = watched(body, tmp_path)
    nonzero = float((x != 0).float().mean())
    assert run.series["input/model/nonzero"].value == pytest.approx([nonzero] * 2, rel=1e-5)
    assert run.series["input/model/first_spread"].value == pytest.approx(seen, rel=1e-4)


class Reader(nn.Module):
    def __init__(self, both):
        super().__init__()
        self.words = nn.Embedding(11, 8)
        self.read = nn.GRU(8, 8, batch_first=True, bidirectional=both)
        self.scores = nn.Linear(16 if both else 8, 11)

    def forward(self, x):
        return self.scores(self.read(self.words(x))[0])


def read(both, steps=60, shift=1):
    torch.manual_seed(0)
    model = Reader(both)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(steps):
        text = torch.randint(11, (4, 13))
        x, y = text[:, :12], text[:, shift : 12 + shift]
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return state([model], [optimizer])


@pytest.mark.parametrize("both", [False, True])
def test_only_a_reader_of_both_directions_sees_the_future(both, tmp_path):
    run = watched(lambda: read(both), tmp_path)
    future = run.series["leak/model/future"].value
    assert len(future) == 2
    assert (future > 1e-4).all() if both else (future == 0).all()
    assert run.series["leak/model/next"].value.tolist() == [1.0] * len(
        run.series["leak/model/next"]
    )
    assert run.series["leak/model/same"].value.mean() < 0.3


def test_targets_that_were_not_shifted(tmp_path):
    run = watched(lambda: read(False, steps=5, shift=0), tmp_path)
    assert run.series["leak/model/same"].value.tolist() == [1.0] * 5


LOOPS = {
    "game": lambda: game(40),
    "conditional game": lambda: game(40, condition=True),
    "reader": lambda: read(False),
    "reader of both directions": lambda: read(True),
}


@pytest.mark.parametrize("name", LOOPS)
def test_watching_changes_no_bit(name, tmp_path):
    alone = LOOPS[name]()
    with unstuck.watch(out=tmp_path / "run", budget=None) as run:
        seen = LOOPS[name]()
    assert all(torch.equal(a, b) for a, b in zip(alone, seen, strict=True))
    facts = unstuck.load(run.path).facts
    assert not [n for n in facts if n.startswith("exit/")], "a measurement was given up"


class Two(nn.Module):
    """Pictures and words, each with a part of its own; the words' runs first."""

    def __init__(self):
        super().__init__()
        self.picture = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))
        self.words = nn.Sequential(nn.Linear(100, 4), nn.ReLU(), nn.Linear(4, 3))

    def forward(self, picture, words):
        return self.words(words) + self.picture(picture)


def test_each_of_two_inputs_is_read(tmp_path):
    generator = torch.Generator().manual_seed(2)
    pictures = torch.randn(20, 6, generator=generator)
    words = (torch.rand(20, 100, generator=generator) < 0.05).float()
    seen = []

    def body():
        torch.manual_seed(0)
        model = Two()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(2):
            with torch.no_grad():
                firsts = model.picture[0](pictures), model.words[0](words)
                seen.append([float(first.std(0, correction=0).mean()) for first in firsts])
            loss = model(pictures, words).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    run = watched(body, tmp_path)
    assert run.series["input/model/nonzero"].value.tolist() == [1.0, 1.0]
    nonzero = float((words != 0).float().mean())
    assert run.series["input/model.words/nonzero"].value == pytest.approx([nonzero] * 2, rel=1e-5)
    for i, name in enumerate(("model", "model.words")):
        spread = run.series[f"input/{name}/first_spread"].value
        assert spread == pytest.approx([s[i] for s in seen], rel=1e-4)
