"""What becomes of gradients between two steps is told as a slow look at all of them tells it."""

import pytest
import torch
import torch.nn.functional as F
from loops import state
from torch import nn

import unstuck
from unstuck.watcher.excerpt import excerpt


def network():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(10, 12), nn.Tanh(), nn.Linear(12, 3))
    return model, torch.optim.SGD(model.parameters(), lr=0.05)


def batch():
    x = torch.randn(8, 10)
    return x, x[:, :3].argmax(1)


def norm(model):
    matrices = [p.grad for p in model.parameters() if p.grad is not None and p.ndim > 1]
    return float(torch.cat([g.flatten() for g in matrices]).norm()) if matrices else 0.0


def watched(loop, folder, **options):
    with unstuck.watch(out=folder / "run", budget=None, **options) as run:
        loop()
    return unstuck.load(run.path)


def values(run, name):
    return run.series[name].value.tolist() if name in run.series else []


def test_gradients_that_are_never_cleared_are_carried_over(tmp_path):
    model, optimizer = network()
    shares = []

    def loop():
        for _ in range(6):
            x, y = batch()
            before = norm(model)
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            shares.append(before / norm(model))
            optimizer.step()

    run = watched(loop, tmp_path)
    assert values(run, "carried_gradient/optimizer") == pytest.approx(shares[1:], rel=1e-4)
    assert run.series["carried_gradient/optimizer"].step.tolist() == [1, 2, 3, 4, 5]
    assert set(values(run, "discarded_gradient/optimizer")) == {0.0}


def accumulating(clear_each, steps=6, count=4):
    model, optimizer = network()
    for _ in range(steps):
        optimizer.zero_grad()
        for _ in range(count):
            x, y = batch()
            if clear_each:
                model.zero_grad(set_to_none=False)
            loss = F.cross_entropy(model(x), y)
            (loss / count).backward()
        optimizer.step()
    return state([model], [optimizer])


def test_micro_batches_that_are_summed_lose_and_carry_nothing(tmp_path):
    run = watched(lambda: accumulating(False), tmp_path)
    assert set(values(run, "carried_gradient/optimizer")) == {0.0}
    assert set(values(run, "discarded_gradient/optimizer")) == {0.0}
    assert set(values(run, "accumulated_passes/optimizer")) == {4.0}
    assert set(values(run, "mean_weight/loss")) == {0.25}
    assert set(values(run, "rescaled_gradient/optimizer")) == {1.0}


def test_micro_batches_that_are_cleared_are_lost_but_for_the_last(tmp_path):
    run = watched(lambda: accumulating(True), tmp_path)
    assert set(values(run, "discarded_gradient/optimizer")) == {0.75}
    assert set(values(run, "accumulated_passes/optimizer")) == {1.0}


def test_clearing_before_the_step_loses_everything(tmp_path):
    def loop():
        model, optimizer = network()
        for _ in range(5):
            x, y = batch()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.zero_grad()
            optimizer.step()

    run = watched(loop, tmp_path)
    assert values(run, "discarded_gradient/optimizer") == [1.0] * 4


def test_a_clipped_gradient_is_told_as_rescaled(tmp_path):
    shares = []

    def loop():
        model, optimizer = network()
        for _ in range(5):
            x, y = batch()
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            whole = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            shares.append(0.1 / float(whole))
            optimizer.step()

    run = watched(loop, tmp_path)
    assert values(run, "rescaled_gradient/optimizer") == pytest.approx(shares[1:], rel=1e-3)
    assert set(values(run, "discarded_gradient/optimizer")) == {0.0}


def test_a_look_ahead_that_moves_the_weights_loses_nothing(tmp_path):
    def loop():
        model, optimizer = network()
        for _ in range(6):
            for ahead in (True, False):
                x, y = batch()
                optimizer.zero_grad()
                loss = F.cross_entropy(model(x), y)
                loss.backward()
                if ahead:
                    for p in model.parameters():
                        p.data += 0.01 * p.grad
            optimizer.step()

    run = watched(loop, tmp_path)
    assert set(values(run, "discarded_gradient/optimizer")) == {0.0}


def test_two_networks_may_fill_each_others_gradients(tmp_path):
    def loop():
        painter, judge = nn.Linear(4, 6), nn.Linear(6, 1)
        opt_p = torch.optim.SGD(painter.parameters(), lr=0.01)
        opt_j = torch.optim.SGD(judge.parameters(), lr=0.01)
        for _ in range(6):
            opt_j.zero_grad()
            loss_j = judge(painter(torch.randn(8, 4))).mean()
            loss_j.backward()
            opt_j.step()
            opt_p.zero_grad()
            loss_p = -judge(painter(torch.randn(8, 4))).mean()
            loss_p.backward()
            opt_p.step()

    run = watched(loop, tmp_path)
    for optimizer in ("opt_p", "opt_j"):
        assert set(values(run, f"carried_gradient/{optimizer}")) == {0.0}
        assert set(values(run, f"discarded_gradient/{optimizer}")) == {0.0}
        assert run.facts[f"idle/{optimizer}"] == 0


def idle(by_hand=False, steps=40):
    body, head = nn.Linear(6, 4), nn.Linear(4, 2)
    opt_body = torch.optim.SGD(body.parameters(), lr=0.1)
    opt_head = torch.optim.SGD(head.parameters(), lr=0.1)
    for _ in range(steps):
        opt_body.zero_grad()
        opt_head.zero_grad()
        code = body(torch.randn(8, 6))
        loss_head = head(code.detach()).square().mean()
        loss_head.backward()
        opt_head.step()
        loss_body = head(code.detach() * 0 + code).square().mean()
        loss_body.backward()
        if by_hand:
            for p in body.parameters():
                p.data -= 0.1 * p.grad
    return opt_body


def test_passes_that_no_step_follows_are_counted(tmp_path):
    kept = []
    run = watched(lambda: kept.append(idle()), tmp_path)
    assert run.facts["idle/opt_body"] == 40
    assert run.facts["idle/opt_head"] == 0


def test_weights_that_are_moved_by_hand_are_not_idle(tmp_path):
    kept = []
    run = watched(lambda: kept.append(idle(by_hand=True)), tmp_path)
    assert run.facts["idle/opt_body"] == 0


def test_an_optimizer_that_steps_late_is_idle_no_more(tmp_path):
    def loop():
        model, optimizer = network()
        for i in range(20):
            x, y = batch()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            if i == 18:
                optimizer.step()

    assert watched(loop, tmp_path).facts["idle/optimizer"] == 0


def test_other_optimizers_than_those_given_are_not_followed(tmp_path):
    model, optimizer = network()

    def loop():
        other = torch.optim.SGD(model[0].parameters(), lr=0.1)
        for _ in range(8):
            x, y = batch()
            other.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()

    run = watched(loop, tmp_path, models=model, optimizers=optimizer)
    assert run.facts_matching("idle/*") == {"idle/optimizer": 0}


def test_a_mean_weighs_what_the_script_makes_of_it(tmp_path):
    def loop():
        model, optimizer = network()
        for _ in range(4):
            x, y = batch()
            out = model(x)
            optimizer.zero_grad()
            fit = F.cross_entropy(out, y)
            small = F.mse_loss(out, torch.zeros_like(out))
            loss = (0.5 * fit + 0.1 * small) / 2
            loss.backward()
            optimizer.step()

    run = watched(loop, tmp_path)
    assert values(run, "mean_weight/loss") == pytest.approx([0.3] * 4)


@pytest.mark.parametrize("clear_each", [True, False])
def test_watching_changes_no_bit_of_what_is_accumulated(clear_each, tmp_path):
    alone = accumulating(clear_each, steps=40)
    kept = []
    run = watched(lambda: kept.extend(accumulating(clear_each, steps=40)), tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(alone, kept, strict=True))
    assert not run.facts_matching("exit/*") and values(run, "accumulated_passes/optimizer")


@pytest.mark.parametrize("shape", [(3,), (40, 30), (7, 5, 3, 3), (10_000,), ()])
def test_an_excerpt_is_small_and_of_the_tensors_own_numbers(shape):
    x = torch.randn(shape)
    found = excerpt(x, 100)
    assert 1 <= found.numel() <= 100 and torch.isin(found, x).all()
    if x.ndim == 4:
        last = excerpt(x.to(memory_format=torch.channels_last), 100)
        assert 1 <= last.numel() <= 100 and torch.isin(last, x).all()
