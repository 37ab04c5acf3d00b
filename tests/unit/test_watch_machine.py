"""What a watched loop says of the machine: waits, readings, memory, arithmetic."""

import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, dataloader

import unstuck
from unstuck.watcher.collectors.arithmetic import WITH_BACKWARD, attainable


class Slow(Dataset):
    def __init__(self, seconds, count=400):
        self.seconds, self.count = seconds, count

    def __len__(self):
        return self.count

    def __getitem__(self, i):
        time.sleep(self.seconds)
        return torch.full((8,), float(i)), i % 3


def network():
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))


def train(model, batches, after=lambda model, loss: None):
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    for x, y in batches:
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        after(model, loss)


def some(steps, size=4):
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        yield torch.randn(size, 8, generator=generator), torch.arange(size) % 3


def watched(tmp_path, body):
    torch.manual_seed(0)
    with unstuck.watch(out=tmp_path / "run", budget=None):
        body()
    return unstuck.load(tmp_path / "run")


def test_waiting_for_a_slow_loader_is_most_of_the_time(tmp_path):
    loader = DataLoader(Slow(0.02, 320), 4)
    run = watched(tmp_path, lambda: train(network(), loader))
    assert np.median(run.series["wait/data"].value) > 0.5
    assert np.median(run.series["wait/before_forward"].value) > 0.4
    assert "SYS001" in {f.code for f in unstuck.diagnose(run).at_least("warning")}


@pytest.mark.parametrize("inside", [True, False])
def test_a_slow_validation_is_no_waiting(tmp_path, inside):
    held_out = DataLoader(Slow(0.01, 40), 20)

    def validate(model, loss):
        model.eval()
        with torch.set_grad_enabled(not inside):
            for x, y in held_out:
                with torch.no_grad():
                    F.cross_entropy(model(x), y)
        model.train()

    def body():
        model = network()
        for epoch in range(3):
            train(model, DataLoader(Slow(0.0, 100), 4))
            validate(model, epoch)

    run = watched(tmp_path, body)
    assert np.median(run.series["wait/data"].value) < 0.3


def test_a_loader_is_its_own_again_afterwards(tmp_path):
    before = dataloader._BaseDataLoaderIter.__next__
    watched(tmp_path, lambda: train(network(), some(5)))
    assert dataloader._BaseDataLoaderIter.__next__ is before
    for name in ("item", "tolist", "__bool__", "__float__", "__int__", "__repr__", "__format__"):
        assert name not in vars(Tensor) or vars(Tensor)[name].__module__ == "torch._tensor"


READ = {
    "item": lambda loss: loss.item(),
    "float": lambda loss: float(loss.detach()),
    "if": lambda loss: 1 if loss > 0 else 0,
    "format": lambda loss: f"{loss.detach():.3f}",
    "print": lambda loss: str(loss),
    "tolist": lambda loss: loss.tolist(),
    "int": lambda loss: int(loss.detach()),
}


@pytest.mark.parametrize("how", READ)
def test_a_number_read_at_every_step_is_counted_once(tmp_path, how):
    loop = lambda: train(network(), some(40), lambda m, loss: READ[how](loss))  # noqa: E731
    run = watched(tmp_path, loop)
    assert run.series["readouts/cpu"].value.tolist() == [1.0] * len(run.series["readouts/cpu"])


def test_what_torch_reads_for_itself_is_not_the_scripts(tmp_path):
    def body():
        model = network()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)  # reads its own step counts
        for x, y in some(30):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, error_if_nonfinite=True)
            optimizer.step()

    assert not watched(tmp_path, body).series["readouts/cpu"].value.any()


def test_the_arithmetic_of_a_step_is_that_of_its_layers(tmp_path):
    model = network()
    run = watched(tmp_path, lambda: train(model, some(60)))
    forward = 2 * 4 * (8 * 16 + 16 * 3)
    assert run.facts["flops/step"] == WITH_BACKWARD * forward
    assert 1e8 < run.facts["flops/attainable"] < 1e14


def test_all_networks_of_a_step_are_counted_and_none_of_the_next(tmp_path):
    def body():
        one, other = network(), network()
        optimizers = [torch.optim.SGD(m.parameters(), lr=1e-3) for m in (one, other)]
        for x, y in some(60):
            first = F.cross_entropy(one(x), y)
            first.backward()
            optimizers[0].step()
            second = F.cross_entropy(other(x), y)
            second.backward()
            optimizers[1].step()

    run = watched(tmp_path, body)
    assert run.facts["flops/step"] == 2 * WITH_BACKWARD * 2 * 4 * (8 * 16 + 16 * 3)


def test_an_exception_in_the_step_that_is_counted_leaves_no_mode_behind(tmp_path):
    from torch.utils._python_dispatch import _get_current_dispatch_mode

    class Fails(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.calls = network(), 0

        def forward(self, x):
            self.calls += 1
            if self.calls == 4:
                assert _get_current_dispatch_mode() is not None
                raise KeyError("lost")
            return self.net(x)

    with pytest.raises(KeyError):
        watched(tmp_path, lambda: train(Fails(), some(9)))
    assert _get_current_dispatch_mode() is None


def test_what_can_be_had_is_measured_without_drawing_a_number():
    before = torch.get_rng_state()
    rate = attainable(torch.zeros(1))
    assert torch.equal(torch.get_rng_state(), before)
    one = torch.ones(512, 512)
    began = time.process_time()
    for _ in range(10):
        one @ one
    plain = 10 * 2 * 512**3 / max(time.process_time() - began, 1e-6)
    assert 0.3 < rate / plain < 10  # the best of five against a mean


def test_the_memory_there_is_is_known(tmp_path):
    run = watched(tmp_path, lambda: train(network(), some(5)))
    assert run.facts["memory/cpu"] > run.series["bytes/cpu"].value[-1] > 1e7
