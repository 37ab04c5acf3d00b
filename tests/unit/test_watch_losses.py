"""Losses named from the source, their terms and weights from the graph."""

import sys

import pytest
import torch
import torch.nn.functional as F
from loops import Gan, accumulated_amp
from torch import nn

import unstuck
from unstuck.watcher.naming import called_on, users_frame
from unstuck.watcher.terms import discover, named_scalars


def watched(loop, tmp_path, **options):
    with unstuck.watch(out=tmp_path / "run", budget=None, **options) as run:
        loop()
    return unstuck.load(run.path)


def last(run, name):
    return run.series[name].value[-1]


def train_gan(steps=8, **weights):
    torch.manual_seed(0)
    game = Gan()
    vars(game).update(weights)
    for _ in range(steps):
        real, fake = torch.randn(8, 6), game.net_g(torch.randn(8, 4))
        game.train_d(real, fake)
        game.train_g(real, fake)
    return game


def test_hand_made_gan_all_terms_named_and_weights_recovered(tmp_path):
    run = watched(train_gan, tmp_path)
    weights = {n: s.value for n, s in run.series.items() if n.startswith("weight/")}
    expected = {
        "weight/g_loss/adv": 0.25,
        "weight/g_loss/l1": 100.0,
        "weight/g_loss/const": 15.0,
        "weight/g_loss/cat": 1.0,
        "weight/d_loss/d_real": 0.5,
        "weight/d_loss/d_fake": 0.5,
    }
    assert weights.keys() == expected.keys()
    for name, weight in expected.items():
        assert abs(weights[name] - weight).max() < 1e-4
    shares = sum(last(run, f"share/g_loss/{t}") for t in ("adv", "l1", "const", "cat"))
    assert shares == pytest.approx(1.0)
    terms = {t: last(run, f"term/g_loss/{t}") for t in ("adv", "l1", "const", "cat")}
    whole = sum(terms[t] * expected[f"weight/g_loss/{t}"] for t in terms)
    at = run.series["term/g_loss/adv"].step[-1]
    loss = run.series["loss/g_loss"]
    assert whole == pytest.approx(loss.value[loss.step == at][0], rel=1e-5)
    assert len(loss) == len(run.series["loss/d_loss"]) == 8


def test_gradient_share_and_cosine_equal_the_slow_obvious_way(tmp_path):
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    x = torch.randn(6, 4)

    def loop():
        for _ in range(3):
            y = model(x)
            fit, size = (y - 1).square().mean(), y.abs().mean()
            loss = 3 * fit + 0.5 * size
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    run = watched(loop, tmp_path)
    grads = {}
    for name, weight in (("fit", 3.0), ("size", 0.5)):
        model.zero_grad()
        y = model(x)
        term = (y - 1).square().mean() if name == "fit" else y.abs().mean()
        (weight * term).backward()
        grads[name] = torch.cat([p.grad.flatten() for p in model.parameters()])
    norms = {n: float(g.norm()) for n, g in grads.items()}
    share = norms["fit"] / sum(norms.values())
    cosine = float(F.cosine_similarity(grads["fit"], grads["size"], dim=0))
    assert last(run, "gradient_share/loss/fit") == pytest.approx(share, rel=1e-5)
    assert last(run, "gradient_cosine/loss/fit:size") == pytest.approx(cosine, rel=1e-4)


def test_accumulation_and_amp_read_the_loss_not_what_it_was_scaled_to(tmp_path):
    run = watched(lambda: accumulated_amp(steps=6), tmp_path)
    assert len(run.series["loss/loss"]) == 6
    assert 0.05 < run.series["loss/loss"].value[0] < 10  # not times 256, not over 4
    assert last(run, "weight/loss/fit") == pytest.approx(1.0)
    assert last(run, "weight/loss/small") == pytest.approx(0.01)


SOURCES = {
    "self.d_loss.backward()": "d_loss",
    "scaler.scale(loss).backward()": "loss",
    "scaler.scale(loss / 4).backward()": "loss",
    "(loss / 4).backward()": "loss",
    "(0.5 * loss).backward()": "loss",
    "losses['total'].backward()": "total",
    "losses[0].backward()": "losses.0",
    "criterion(out, y).backward()": "criterion",
    "loss.mean().backward()": "loss",
    "accelerator.backward(loss)": "loss",
    "(loss := out).backward()": "loss",
    "loss.backward(); other.backward()": "loss",
    "self.manual_backward(self.g_loss)": "g_loss",
}


class Anything:
    """Answers every call and item, and remembers what the frame was called on."""

    def __init__(self, seen):
        self.__dict__["_seen"] = seen

    def __getattr__(self, name):
        return self

    def __getitem__(self, key):
        return self

    def __call__(self, *args):
        self._seen.append(called_on(sys._getframe(1)))
        return self

    def __truediv__(self, other):
        return self

    __rmul__ = __truediv__


@pytest.mark.parametrize("source", SOURCES)
def test_name_from_source_expression(source, tmp_path):
    import linecache

    seen = []
    names = ("self", "loss", "losses", "criterion", "scaler", "accelerator", "out", "y", "other")
    scope = {n: Anything(seen) for n in names}
    filename = str(tmp_path / "script.py")
    linecache.cache[filename] = (len(source), None, [source + "\n"], filename)
    exec(compile(source, filename, "exec"), scope)
    first_backward = seen[-2] if ";" in source else seen[-1]
    assert first_backward == SOURCES[source]


def test_frames_of_libraries_are_passed_over():
    frame = users_frame(sys._getframe())
    assert frame is not None and frame.f_code.co_name.startswith("test_frames")


def test_terms_of_nested_sums_lists_and_stacks():
    x = torch.randn(5, requires_grad=True)
    one, two, three = x.mean(), x.abs().mean(), x.square().mean()
    scalars = named_scalars(sys._getframe())

    def weights(root):
        found = discover(root, "root", scalars)
        return {n: round(float(w.detach()), 6) for n, w in found.weights.items()}

    assert weights(sum([one, two, three])) == {"one": 1.0, "two": 1.0, "three": 1.0}
    assert weights(torch.stack([one, two]).mean()) == {"one": 0.5, "two": 0.5}
    assert weights((one + two) / 2 - 3 * three) == {"one": 0.5, "two": 0.5, "three": -3.0}
    assert weights(one) == {}


def test_a_sum_with_an_unnamed_part_is_one_term_by_its_own_name():
    x = torch.randn(5, requires_grad=True)
    data = x.mean()
    decay = data.detach() * 0 + x.square().sum() + x.abs().sum()
    found = discover(data + 0.1 * decay, "loss", named_scalars(sys._getframe()))
    assert set(found.terms) == {"data", "decay"}


def test_two_losses_of_one_name_are_told_apart(tmp_path):
    def loop():
        torch.manual_seed(0)
        nets = [nn.Linear(3, 1) for _ in range(2)]
        optimizers = [torch.optim.SGD(n.parameters(), lr=0.1) for n in nets]

        def train_first(x):
            loss = nets[0](x).square().mean()
            loss.backward()
            optimizers[0].step()

        def train_second(x):
            loss = nets[1](x).square().mean() + 5
            loss.backward()
            optimizers[1].step()

        for _ in range(4):
            x = torch.randn(4, 3)
            train_first(x)
            train_second(x)

    run = watched(loop, tmp_path)
    losses = [n for n in run.series if n.startswith("loss/")]
    assert sorted(losses) == ["loss/loss", "loss/train_second.loss"]
    assert all(len(run.series[n]) == 4 for n in losses)
    assert last(run, "loss/train_second.loss") > 5


@pytest.mark.parametrize(
    "changes, written",
    [
        ({"weight/g_loss/l1": 10.0}, {"w2": 10.0}),
        ({"weight/g_loss/l1": "x0.1", "weight/g_loss/adv": "x2"}, {"w2": 10.0, "w1": 0.5}),
    ],
)
def test_changed_weight_equals_the_change_written_into_the_script(changes, written, tmp_path):
    torch.manual_seed(0)
    expected = train_gan(20, **written)
    with unstuck.watch(out=tmp_path / "run", changes=changes, budget=None) as run:
        game = train_gan(20)
    # the loss of the last step is made of weights that twenty changed steps led to
    for ours, theirs in zip(game.net_g.parameters(), expected.net_g.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)
    assert unstuck.load(run.path).series["loss/g_loss"].value[-1] == pytest.approx(
        float(expected.g_loss.detach()), abs=1e-4
    )


def test_changed_learning_rate_equals_the_change_written_into_the_script(tmp_path):
    def train(lr):
        torch.manual_seed(0)
        model = nn.Linear(3, 1)
        optimizer = torch.optim.Adam(model.parameters(), lr=lr)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
        for _ in range(20):
            loss = model(torch.randn(8, 3)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        return model.weight.detach(), schedule.get_last_lr()

    expected, _ = train(0.003)
    with unstuck.watch(out=tmp_path / "run", changes={"lr/optimizer": "x0.1"}, budget=None) as run:
        got, rates = train(0.03)
    assert torch.allclose(got, expected, atol=1e-7)
    assert rates == [pytest.approx(0.03 * 0.9**20)]  # the script's own schedule is untouched
    assert unstuck.load(run.path).series["lr/optimizer"].value[0] == pytest.approx(0.003)


@pytest.mark.parametrize("change", [{"lr": 1.0}, {"lr/o": "fast"}, {"weight/a": 1.0}])
def test_malformed_change_is_refused_before_anything_is_written(change, tmp_path):
    with pytest.raises(ValueError, match=r"lr|weight"):
        unstuck.watch(out=tmp_path / "run", changes=change, budget=None)
    assert not (tmp_path / "run").exists()


def test_a_function_that_is_handed_losses_has_one_for_each_name_its_callers_give(tmp_path):
    def step(optimizer, loss):
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    torch.manual_seed(0)
    painter, judge = nn.Linear(3, 2), nn.Linear(2, 1)
    optimizers = [torch.optim.SGD(m.parameters(), lr=0.01) for m in (painter, judge)]
    with unstuck.watch(out=tmp_path / "run", budget=None) as run:
        for _ in range(8):
            painted = painter(torch.randn(5, 3))
            d_loss = judge(painted.detach()).square().mean()
            step(optimizers[1], d_loss)
            step(optimizers[0], loss=judge(painted).mean())
    series = unstuck.load(run.path).series
    assert {n for n in series if n.startswith("loss/")} == {"loss/d_loss", "loss/loss"}
    assert len(series["loss/d_loss"]) == len(series["loss/loss"]) == 8
