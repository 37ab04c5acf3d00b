"""Live changes of models do to an unchanged loop what the same change written into it does."""

import copy

import pytest
import torch
from changed_training import CLOSE, changed
from torch import nn
from torch.nn import functional as F

import unstuck

SCALES = torch.tensor([1.0, 10.0, 100.0, 1.0, 1.0, 1.0, 1.0, 0.01])


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 16)
        )
        self.head = nn.Linear(16, 1)

    def forward(self, x):
        return self.head(self.body(x))


def batches(steps=20):
    x = torch.randn(256, 8) * SCALES + 50
    y = x[:, :1].sin()
    for _ in range(steps):
        i = torch.randint(0, 256, (32,))
        yield x[i], y[i]


def trained(make_optimizer, prepare=None, see=None, before=None, evaluate=None):
    """Losses of 20 steps; what is handed in is the change as one would write it."""
    torch.manual_seed(1)
    net = Net()
    if prepare:
        prepare(net)
    optimizer = make_optimizer(net)
    losses = []
    for x, y in batches():
        if before:
            before(net)
        net.zero_grad()
        loss = F.mse_loss(net(see(x) if see else x), y)
        loss.backward()
        optimizer.step()
        if evaluate:
            evaluate(net, x)
        losses.append(loss.item())
    return losses


def watched(tmp_path, changes, *args, **more):
    with unstuck.watch(out=tmp_path / "run", changes=changes, budget=None) as run:
        losses = trained(*args, **more)
    facts = unstuck.load(run.path).facts
    acted = [name.removeprefix("changed/") for name in facts if name.startswith("changed/")]
    assert "exit/watcher" not in facts
    return losses, acted


def equal(a, b):
    return max(abs(p - q) for p, q in zip(a, b, strict=True)) <= CLOSE


def adam(net):
    return torch.optim.AdamW(net.parameters(), lr=1e-3)


def drawn(how):
    def draw(net):
        generator = torch.Generator().manual_seed(torch.initial_seed())
        for layer in net.modules():
            if isinstance(layer, nn.Linear):
                if how == "kaiming":
                    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
                else:
                    nn.init.xavier_normal_(layer.weight, generator=generator)
                nn.init.zeros_(layer.bias)

    return draw


def as_torch_makes_it(net):
    state = torch.get_rng_state()
    torch.manual_seed(torch.initial_seed())
    for module in net.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    torch.set_rng_state(state)


def spoil(net):
    for parameter in net.parameters():
        nn.init.constant_(parameter, 0.3)


@pytest.mark.parametrize("how", ["kaiming", "xavier", "default"])
def test_another_start(tmp_path, how):
    start = as_torch_makes_it if how == "default" else drawn(how)
    written = trained(adam, lambda net: (spoil(net), start(net)))
    changes = {"initialisation/net": how}
    losses, acted = watched(tmp_path, changes, adam, spoil)
    assert equal(losses, written) and not equal(losses, trained(adam, spoil))
    assert acted == ["initialisation/net"]


def test_a_frozen_layer_keeps_its_weights_against_decay_too(tmp_path):
    written = trained(adam, lambda net: net.body.requires_grad_(False))
    losses, acted = watched(tmp_path, {"freeze/net.body": "on"}, adam)
    assert equal(losses, written) and not equal(losses, trained(adam))
    assert acted == ["freeze/net.body"]


def test_what_was_frozen_is_as_the_script_left_it_afterwards(tmp_path):
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1))
    net[0].bias.requires_grad_(False)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with unstuck.watch(net, out=tmp_path / "run", changes={"freeze/model.0": "on"}):
        assert not any(p.requires_grad for p in net[0].parameters())
        net(torch.randn(8, 4)).square().mean().backward()
        optimizer.step()
    assert net[0].weight.requires_grad and not net[0].bias.requires_grad


def test_standardised_input_in_training_and_evaluation(tmp_path):
    statistics, seen = [], []

    def standardised(x):
        if not statistics:
            statistics.append((x.mean(0), x.std(0, unbiased=False)))
        mean, deviation = statistics[0]
        return ((x - mean) / deviation).clamp(-10, 10)

    def score(net, x):
        with torch.no_grad():
            seen.append(net(x).sum().item())

    written = trained(adam, see=standardised, evaluate=lambda net, x: score(net, standardised(x)))
    expected, seen = seen, []
    losses, acted = watched(tmp_path, {"input/net": "standardised"}, adam, evaluate=score)
    assert equal(losses, written) and not equal(losses, trained(adam))
    assert torch.allclose(torch.tensor(seen), torch.tensor(expected), atol=1e-4)
    assert acted == ["input/net"]


def test_parts_called_one_by_one_have_their_input_standardised_once(tmp_path):
    torch.manual_seed(0)
    net, seen = Net(), []
    net.body[0].register_forward_hook(lambda m, args, out: seen.append(args[0]))
    net.head.register_forward_hook(lambda m, args, out: seen.append(args[0]))
    optimizer = adam(net)
    with unstuck.watch(out=tmp_path / "run", changes={"input/net": "standardised"}):
        for x, y in batches(3):
            code = net.body(x)
            F.mse_loss(net.head(code), y).backward()
            optimizer.step()
    assert seen[0].mean().abs() < 1e-4 and (seen[0].std(0, unbiased=False) - 1).abs().max() < 1e-3
    assert torch.equal(seen[-1], code)


def test_pictures_are_standardised_by_channel_and_constants_only_centred(tmp_path):
    torch.manual_seed(0)
    net = nn.Conv2d(3, 2, 3)
    x = torch.randn(16, 3, 8, 8) * torch.tensor([1.0, 50.0, 0.0]).view(1, 3, 1, 1) + 7
    seen = []
    with unstuck.watch(out=tmp_path / "run", changes={"input/net": "standardised"}):
        net.register_forward_hook(lambda m, args, out: seen.append(args[0]))
        net(x).mean().backward()
    spread = seen[0].transpose(0, 1).flatten(1).std(1, unbiased=False)
    assert torch.allclose(spread, torch.tensor([1.0, 1.0, 0.0]), atol=1e-4)
    assert seen[0].mean().abs() < 1e-5


def test_copies_and_files_of_a_changed_model_hold_nothing_of_ours(tmp_path):
    net = Net()
    optimizer = adam(net)
    changes = {"input/net": "standardised", "mode/net": "by-gradient"}
    with unstuck.watch(out=tmp_path / "run", changes=changes):
        for x, y in batches(2):
            F.mse_loss(net(x), y).backward()
            optimizer.step()
        twin = copy.deepcopy(net)
    assert not net._forward_pre_hooks and not twin._forward_pre_hooks
    assert set(twin.state_dict()) == set(Net().state_dict())


def test_mode_by_gradient(tmp_path):
    def forgetful(net, x):
        net.eval()
        with torch.no_grad():
            net(x)

    def judged(net, x):
        forgetful(net, x)
        net.train()

    written = trained(adam, evaluate=judged)
    losses, acted = watched(tmp_path, {"mode/net": "by-gradient"}, adam, evaluate=forgetful)
    assert equal(losses, written) and not equal(losses, trained(adam, evaluate=forgetful))
    assert acted == ["mode/net"]


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam, torch.optim.RMSprop])
def test_orphans_are_adopted_before_the_first_step(tmp_path, kind):
    def forgetful(net):
        return kind(net.head.parameters(), lr=1e-3)

    def whole(net):
        return kind([*net.head.parameters(), *net.body.parameters()], lr=1e-3)

    losses, acted = watched(tmp_path, {"orphans/optimizer": "added"}, forgetful)
    assert equal(losses, trained(whole)) and not equal(losses, trained(forgetful))
    assert acted == ["orphans/optimizer"]


def test_a_scaler_of_another_optimizer_does_not_put_off_orphans(tmp_path):
    def forgetful(net):
        return torch.optim.SGD(net.head.parameters(), lr=1e-3)

    elsewhere = torch.nn.Parameter(torch.ones(1))
    other, scaler = torch.optim.SGD([elsewhere], lr=1e-3), torch.amp.GradScaler("cpu")
    scaler.scale(elsewhere.sum()).backward()
    scaler.step(other)  # not yet updated: it still holds what it has found there
    losses, _ = watched(
        tmp_path,
        {"orphans/optimizer": "added"},
        forgetful,
    )
    assert scaler.is_enabled() and equal(
        losses,
        trained(
            lambda net: torch.optim.SGD([*net.head.parameters(), *net.body.parameters()], lr=1e-3)
        ),
    )


def test_orphans_join_after_the_first_step_that_a_scaler_makes(tmp_path):
    torch.manual_seed(1)
    net = Net()
    optimizer = torch.optim.SGD(net.head.parameters(), lr=1e-3)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    before, moved = net.body[0].weight.detach().clone(), []
    with unstuck.watch(out=tmp_path / "run", changes={"orphans/optimizer": "added"}, budget=None):
        for x, y in batches(2):
            optimizer.zero_grad()
            scaler.scale(F.mse_loss(net(x), y)).backward()
            scaler.step(optimizer)
            scaler.update()
            moved.append(not torch.equal(before, net.body[0].weight))
    assert moved == [False, True]


def test_a_schedule_goes_on_when_orphans_have_joined(tmp_path):
    net = Net()
    optimizer = torch.optim.Adam(net.head.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: 0.5**s)
    before = net.body[0].weight.detach().clone()
    with unstuck.watch(out=tmp_path / "run", changes={"orphans/optimizer": "added"}):
        for x, y in batches(3):
            F.mse_loss(net(x), y).backward()
            optimizer.step()
            schedule.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(1e-2 / 8)
    assert not torch.equal(net.body[0].weight, before)


def test_parameters_of_another_networks_optimizer_are_no_orphans(tmp_path):
    body, head = nn.Linear(8, 8), nn.Linear(8, 1)
    optimizer, later = (
        torch.optim.SGD(head.parameters(), 0.1),
        torch.optim.SGD(body.parameters(), 0),
    )
    before = body.weight.detach().clone()
    with unstuck.watch(out=tmp_path / "run", changes={"orphans/optimizer": "added"}) as run:
        for x, y in batches(2):
            F.mse_loss(head(body(x)), y).backward()
            optimizer.step()
            later.step()
    assert torch.equal(body.weight, before)
    assert "changed/orphans/optimizer" not in unstuck.load(run.path).facts


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
def test_an_optimizer_that_is_cleared_and_never_stepped_is_stepped(tmp_path, kind):
    def loop(steps_too):
        torch.manual_seed(1)
        body, head = nn.Linear(8, 8), nn.Linear(8, 1)
        first, second = kind(body.parameters(), lr=1e-3), kind(head.parameters(), lr=1e-3)
        losses = []
        for x, y in batches():
            first.zero_grad()
            second.zero_grad()
            loss = F.mse_loss(head(torch.tanh(body(x))), y)
            loss.backward()
            second.step()
            if steps_too:
                first.step()
            losses.append(loss.item())
        return losses

    with unstuck.watch(out=tmp_path / "run", changes={"steps/first": "each-backward"}) as run:
        losses = loop(False)
    assert equal(losses, loop(True)) and not equal(losses, loop(False))
    assert unstuck.load(run.path).facts["changed/steps/first"] == 1


def test_a_change_of_what_is_not_there_does_not_act(tmp_path):
    changes = {"freeze/encoder": "on", "mode/nett": "by-gradient", "orphans/adam": "added"}
    losses, acted = watched(tmp_path, changes, adam)
    assert losses == trained(adam) and acted == []


def test_nothing_is_hooked_once_the_watching_has_ended(tmp_path):
    from torch.nn.modules import module as hooks

    changes = {"input/net": "standardised", "mode/net": "by-gradient", "freeze/net": "on"}
    with unstuck.watch(out=tmp_path / "run", changes=changes):
        pass
    assert not hooks._global_forward_pre_hooks and not hooks._global_forward_hooks


SCRIPT = """
    import torch
    from torch import nn
    from torch.nn import functional as F

    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 16))
    neck, head = nn.Linear(16, 16), nn.Linear(16, 1)
    net = nn.Sequential(body, neck, head)
    # begun
    trained = head.parameters()
    optimizer = torch.optim.Adam(trained, lr=1e-2)
    x = 50 + 10 * torch.randn(256, 8)
    y = x[:, :1].sin()
    losses = []
    for step in range(20):
        rows = torch.randint(0, 256, (32,))
        batch = x[rows]
        # ready
        net.zero_grad()
        loss = F.mse_loss(net(batch), y[rows])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        net.eval()
"""
BEGUN = """generator = torch.Generator().manual_seed(torch.initial_seed())
for layer in net.modules():
    if isinstance(layer, nn.Linear):
        nn.init.xavier_normal_(layer.weight, generator=generator)
        nn.init.zeros_(layer.bias)
body.requires_grad_(False)
"""
READY = """net.train()
    if step == 0:
        mean, deviation = batch.mean(0), batch.std(0, unbiased=False)
    batch = (batch - mean) / deviation
"""


def test_all_of_them_at_once_in_a_script_that_is_run_as_a_child(tmp_path):
    edits = [("# begun\n", BEGUN), ("# ready\n", READY)]
    edits += [("head.parameters()", "[*head.parameters(), *neck.parameters()]")]
    changes = {
        "initialisation/net": "xavier",
        "freeze/net.0": "on",
        "input/net": "standardised",
        "mode/net": "by-gradient",
        "orphans/optimizer": "added",
    }
    three = changed(tmp_path, SCRIPT, edits, changes, child=True)
    assert three.apart <= CLOSE < three.moved
    assert three.acted(*changes)
