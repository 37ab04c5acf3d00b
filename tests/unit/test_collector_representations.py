"""What is told of codes, pairs, pools and targets is recorded as a slow count finds it."""

import numpy as np
import pytest
import torch
from loops import state
from torch import nn

import unstuck


def hashing(tell=None, steps=36):
    """Two networks that hash one thing seen twice; `tell` hears of everything."""
    torch.manual_seed(0)
    image, text = nn.Linear(12, 8), nn.Linear(6, 8)
    optimizer = torch.optim.Adam([*image.parameters(), *text.parameters()], lr=1e-2)
    for _ in range(steps):
        x = torch.randn(20, 12)
        a, b = torch.tanh(image(x)), torch.tanh(text(x[:, :6]))
        asked = torch.cosine_similarity(x[:, None], x[None], dim=2)
        errors = (a @ b.T / 8 - asked).square()
        loss = errors.mean()
        if tell:
            tell(a, b, asked, errors.mean(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return state([image, text], [optimizer])


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The run, and by step what was told in it."""
    seen = []
    with unstuck.watch(out=tmp_path_factory.mktemp("told") / "run", budget=None) as run:

        def tell(a, b, asked, errors):
            seen.append([t.detach().double().numpy() for t in (a, b, asked, errors)])
            run.embedding("codes", a)
            run.pair("image", a, "text", b)
            run.targets(asked)
            run.pool(errors)

        hashing(tell)
    return unstuck.load(run.path), seen


def readings(run, name):
    series = run.series[name]
    return list(zip(series.step.tolist(), series.value.tolist(), strict=True))


def test_codes_are_counted_at_the_sampled_steps(told):
    run, seen = told
    for key, count in {
        "unique": lambda s: len({tuple(row) for row in s}) / len(s),
        "similarity": lambda s: np.mean([x @ y / 8 for x, y in pairs(s)]),
        "constant": lambda s: np.mean([abs(column.mean()) > 0.9 for column in s.T]),
    }.items():
        found = readings(run, f"codes/codes/{key}")
        assert [step for step, _ in found] == [0, 1, 2, 3, 4, 16, 32]
        for step, value in found:
            assert value == pytest.approx(count(np.sign(seen[step][0])), abs=1e-5)
    for step, value in readings(run, "codes/codes/gap"):
        assert value == pytest.approx(np.mean(np.abs(np.abs(seen[step][0]) - 1)), abs=1e-5)


def pairs(rows):
    return [(rows[i], rows[j]) for i in range(len(rows)) for j in range(len(rows)) if i != j]


def test_a_told_embedding_has_spread_rank_and_uniformity(told):
    run, seen = told
    for step, value in readings(run, "latent/codes/effective_rank"):
        eigenvalues = np.linalg.eigvalsh(np.cov(seen[step][0].T))
        assert value == pytest.approx(eigenvalues.sum() ** 2 / (eigenvalues**2).sum(), rel=1e-3)
    for step, value in readings(run, "latent/codes/batch_std"):
        assert value == pytest.approx(seen[step][0].std(0).mean(), rel=1e-4)
    for step, value in readings(run, "latent/codes/uniformity"):
        u = seen[step][0] / np.linalg.norm(seen[step][0], axis=1, keepdims=True)
        apart = [np.exp(-2 * np.sum((x - y) ** 2)) for x, y in pairs(u)]
        assert value == pytest.approx(np.log(np.mean(apart)), abs=1e-4)


def test_agreement_counts_who_is_nearer_than_the_partner(told):
    run, seen = told
    for step, value in readings(run, "pair/image:text/agreement"):
        a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in seen[step][:2])
        s = a @ b.T
        n = len(s)
        won = [s[i, i] > s[i, j] for i in range(n) for j in range(n) if i != j]
        won += [s[i, i] > s[j, i] for i in range(n) for j in range(n) if i != j]
        assert value == pytest.approx(np.mean(won), abs=2e-3)


def test_targets_and_what_codes_make_of_them(told):
    run, seen = told
    for step, value in readings(run, "target_similarity/targets/low"):
        asked = seen[step][2][~np.eye(20, dtype=bool)]
        assert value == pytest.approx(np.sort(asked)[19], abs=1e-5)
    found = readings(run, "target_similarity/targets/correlation")
    assert [step for step, _ in found] == [0, 1, 2, 3, 4, 16, 32]
    for step, value in found:
        u = seen[step][0] / np.linalg.norm(seen[step][0], axis=1, keepdims=True)
        beside = ~np.eye(20, dtype=bool)
        twin = np.corrcoef((u @ u.T)[beside], seen[step][2][beside])[0, 1]
        assert value == pytest.approx(twin, abs=1e-4)


def test_a_pool_is_told_by_its_middle_and_its_worst(told):
    run, seen = told
    for step, value in readings(run, "pool/pool/worst"):
        assert value == pytest.approx(np.sort(seen[step][3])[-2:].mean(), rel=1e-4)
    for step, value in readings(run, "pool/pool/median"):
        assert value == pytest.approx(np.sort(seen[step][3])[10], rel=1e-4)


def test_telling_changes_no_bit(tmp_path):
    alone = hashing()
    with unstuck.watch(out=tmp_path / "run", budget=None) as run:

        def tell(a, b, asked, errors):
            run.embedding("codes", a)
            run.pair("image", a, "text", b)
            run.targets(asked)
            run.pool(errors)

        watched = hashing(tell)
    assert all(torch.equal(x, y) for x, y in zip(alone, watched, strict=True))


def test_odd_things_told_are_passed_over(tmp_path, capsys):
    with unstuck.watch(out=tmp_path / "run", budget=None) as run:
        for value in (torch.tensor(1.0), torch.zeros(3), torch.zeros(1, 4), torch.zeros(0, 4)):
            run.embedding("codes", value)
            run.pair("a", value, "b", torch.zeros(5, 4))
            run.targets(value)
            run.pool(value)
        run.embedding("codes", torch.ones(6, 8, dtype=torch.int8))
        run.pair("a", torch.zeros(4, 3), "b", torch.zeros(4, 5))
        hashing(steps=2)
    assert "gave up" not in capsys.readouterr().err
    series = unstuck.load(run.path).series
    assert series["codes/codes/unique"].value[0] == pytest.approx(1 / 6)
    assert "pair/a:b/agreement" not in series


class Hasher(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.hash_layer = nn.Linear(5, 6), nn.Sequential(nn.Linear(6, 8), nn.Tanh())

    def forward(self, x):
        return self.hash_layer(self.body(x))


def test_a_layer_named_after_hashing_is_read_untold(tmp_path):
    torch.manual_seed(0)
    model = Hasher()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with unstuck.watch(out=tmp_path / "run", budget=None) as run:
        for _ in range(3):
            model(torch.randn(9, 5)).square().mean().backward()
            optimizer.step()
    series = unstuck.load(run.path).series
    assert len(series["codes/model.hash_layer/similarity"]) == 3
    assert not [n for n in series if n.startswith("codes/model.body")]
