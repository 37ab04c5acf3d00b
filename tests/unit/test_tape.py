"""A taped step run again: the loss and its gradients are those of the step itself."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from unstuck.experiment import NotProbed
from unstuck.lab.batch import taken
from unstuck.watcher.tape import Tape
from unstuck.watcher.tape_listening import Listening
from unstuck.watcher.tape_replay import Replay


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 6))


def supervised(model, x, y):
    return F.mse_loss(model(x), y)


def with_decay(model, x, y):
    fit = F.mse_loss(model(x.float()), y)
    decay = sum(p.square().sum() for p in model.parameters())
    return fit + 1e-2 * decay


def parts_called(model, x, y):
    hidden = model[1](model[0](x))
    out = model[2](hidden)
    return F.mse_loss(out, y) + hidden.abs().mean()


def written_into(model, x, y):
    """Values go into memory that was made for them, some of it through a view."""
    out = torch.zeros(len(x), 6)
    made = model(x)
    out[:, :3] = made[:, :3]
    out[:, 3:] += made[:, 3:] * 2
    made = made.clone()
    made.mul_(0.5).add_(y)
    made[0].zero_()
    return out.square().mean() + made.mean()


def penalty_on_slopes(model, x, y):
    mixed = torch.lerp(x, y, 0.3).requires_grad_(True)
    slope = torch.autograd.grad(model(mixed).sum(), mixed, create_graph=True)[0]
    return model(x).mean() - model(y).mean() + (slope.norm(dim=1) - 1).square().mean()


def stopped_gradient(model, x, y):
    one, other = model(x), model(y)
    return -F.cosine_similarity(one, other.detach(), dim=1).mean()


def target_without_gradient(model, x, y):
    with torch.no_grad():
        target = model(y) * 2
    return F.smooth_l1_loss(model(x), target)


def by_keywords(model, x, y):
    criterion = nn.MSELoss()
    return criterion(input=model(input=x), target=y)


def in_half_precision(model, x, y):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = model(x)
        fit = F.mse_loss(out.float(), y)
    return fit * 3


def rolled_out(model, x, y):
    for _ in range(3):
        x = x + 0.1 * model(x)
    return (x - y).abs().mean()


STEPS = (
    supervised, with_decay, parts_called, written_into, penalty_on_slopes, stopped_gradient,
    target_without_gradient, by_keywords, in_half_precision, rolled_out,
)  # fmt: skip
EACH = pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)


def data(seed, count=8):
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(count, 6, generator=draw), torch.randn(count, 6, generator=draw)


def taped(step, *given):
    tape = Tape()
    listening = Listening(tape, lambda: True)
    assert not listening.start()
    try:
        loss = step(*given)
    finally:
        listening.stop()
    return Replay(tape, loss), loss


def numbers(loss, model):
    return [loss.detach(), *torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)]


def close(ones, others):
    return all(
        torch.allclose(a, b, rtol=1e-5, atol=1e-7) for a, b in zip(ones, others, strict=True)
    )


@EACH
def test_the_step_gives_its_loss_and_gradients_again_bit_by_bit(step):
    model = net()
    replay, loss = taped(step, model, *data(0))
    again = replay.loss(model, replay.batch)["loss"]
    for one, other in zip(numbers(loss, model), numbers(again, model), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(replay.verify(), loss)


@EACH
def test_with_other_weights_it_gives_what_the_step_would(step):
    model, (x, y) = net(), data(0)
    replay, _ = taped(step, model, x, y)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.1)
    if step is target_without_gradient:  # the target is data of the step: it stays what it was
        y_then = replay.batch[-1]
        long_way = F.smooth_l1_loss(model(x), y_then)
    else:
        long_way = step(model, x, y)
    again = replay.loss(model, replay.batch)["loss"]
    assert close(numbers(long_way, model), numbers(again, model))


@EACH
def test_another_steps_data_goes_into_it(step):
    model = net()
    replay, _ = taped(step, model, *data(0))
    other, loss = taped(step, model, *data(1))
    assert other.same_as(replay)
    again = replay.loss(model, other.batch)["loss"]
    assert close(numbers(loss, model), numbers(again, model))


@pytest.mark.parametrize("step", [supervised, with_decay, stopped_gradient, rolled_out])
def test_some_of_the_samples_give_the_loss_of_some_of_the_samples(step):
    model, (x, y) = net(), data(0)
    replay, _ = taped(step, model, x, y)
    again = replay.loss(model, taken(replay.batch, slice(2, 5)))["loss"]
    assert close(numbers(step(model, x[2:5], y[2:5]), model), numbers(again, model))


def test_a_copy_of_the_model_may_stand_in_for_it():
    model, copy, (x, y) = net(), net(), data(0)
    replay, _ = taped(with_decay, model, x, y)
    replay.model = model
    with torch.no_grad():
        copy[0].weight.mul_(2)
    assert torch.allclose(replay.loss(copy, replay.batch)["loss"], with_decay(copy, x, y))


def test_the_batch_is_not_written_into():
    def step(model, x, y):
        x[:, 0] = model(x)[:, 0]
        return F.mse_loss(x, y)

    model, (x, y) = net(), data(0)
    before = x.clone()
    replay, loss = taped(step, model, x, y)
    for _ in range(2):
        assert torch.equal(replay.loss(model, replay.batch)["loss"], loss)
    assert any(torch.equal(before, part) for part in replay.batch)


def test_dropout_and_batch_statistics_are_as_they_were_when_it_is_verified():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 6))
    spectral = nn.utils.parametrizations.spectral_norm(nn.Linear(6, 6))
    both = nn.Sequential(model, spectral)

    def step(model, x, y):
        noise = torch.rand(3)  # draws between the calls
        out = model(x) + torch.randn_like(model[0](x)) + noise.mean()
        return F.mse_loss(out, y)

    replay, loss = taped(step, both, *data(0))
    torch.rand(100)
    assert torch.equal(replay.verify(), loss)


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, grad):
        return grad * 2


def test_what_cannot_be_had_again_is_said():
    model, (x, y) = net(), data(0)
    with pytest.raises(NotProbed, match="a function outside of torch's modules"):
        taped(lambda: F.mse_loss(Doubled.apply(model(x)), y))
    carried = model(x)
    with pytest.raises(NotProbed, match="a history from before this step"):
        taped(lambda: F.mse_loss(model(carried), y))
    with pytest.raises(NotProbed, match="no data enters"):
        taped(lambda: sum(p.square().sum() for p in model.parameters()))
    draw = torch.Generator().manual_seed(0)
    with pytest.raises(NotProbed, match="random generator of its own"):
        taped(
            lambda: torch.bernoulli(torch.sigmoid(model(x)), generator=draw).mean() + model(x).sum()
        )


def test_the_scripts_own_modes_are_left_in_order():
    from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack

    class Own(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            return func(*args, **(kwargs or {}))

    listening = Listening(Tape(), lambda: True)
    with Own():
        assert "mode of its own" in listening.start()
    assert not listening.on and not listening.start()
    with Own() as own:
        net()(data(0)[0])
        listening.stop()
        assert _get_current_function_mode_stack() == [own]
    assert not _get_current_function_mode_stack()


def test_an_error_of_the_scripts_leaves_nothing_on():
    from torch.nn.modules import module
    from torch.overrides import _get_current_function_mode_stack

    with pytest.raises(RuntimeError):
        taped(lambda: net()(torch.randn(2, 5)))
    assert not _get_current_function_mode_stack()
    assert not module._global_forward_hooks and not module._global_forward_pre_hooks
