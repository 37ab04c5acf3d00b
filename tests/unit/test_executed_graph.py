"""Every skip connection of an architecture is found, none is invented."""

import pytest
import torch
import torch.nn.functional as F
from executed_models import (
    ARCHITECTURES,
    Block,
    DenseBlock,
    Unet,
    around_of,
    found_in,
)
from torch import nn

from unstuck.lab.executed import recorded
from unstuck.lab.executed_skips import innermost, paths


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_all_skips_are_found_and_none_is_invented(name: str) -> None:
    make, count, around = ARCHITECTURES[name]
    torch.manual_seed(0)
    model, batch = make()
    found = found_in(model.eval(), *batch)
    assert (len(found), around_of(found)) == (count, around), [
        (s.born, s.join.module, s.how) for s in found
    ]


def test_a_skip_is_named_by_where_it_is_born_and_joined() -> None:
    first, second = found_in(Unet(added=False), torch.randn(2, 3, 16, 16))
    assert (first.born, second.born) == ("down.1.2", "down.0.2")
    assert {s.how for s in (first, second)} == {"concatenated"}
    block = found_in(nn.Sequential(nn.Conv2d(3, 8, 3), Block(8, 8)), torch.randn(2, 3, 16, 16))
    assert [(s.born, s.join.module, s.how) for s in block] == [("0", "1", "added")]


def test_the_nest_of_a_unet_is_one_path_with_one_innermost_join() -> None:
    model, x = Unet(added=True), torch.randn(2, 3, 16, 16)
    graph = _graph(model, x)
    found = found_in(model, x)
    (path,) = paths(graph, found)
    assert len(path) == 2
    assert [s.born for s in innermost(graph, path)] == ["down.1.2"]


def test_the_input_added_to_the_output_is_a_skip_but_lies_on_no_path() -> None:
    class Corrected(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unet = Unet(added=False)

        def forward(self, x):
            return x + self.unet(x)

    model, x = Corrected(), torch.randn(2, 3, 16, 16)
    found = found_in(model, x)
    assert [s.raw for s in found] == [False, False, True]
    assert [len(p) for p in paths(_graph(model, x), found)] == [2]


def test_what_the_loss_adds_up_is_no_skip() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 3, 3, padding=1))
    x = torch.randn(2, 3, 8, 8)

    def loss():
        y = model(x)
        return (y + x).square().mean() + (x - y).abs().mean()

    assert found_in(model, x, run=loss) == []

    def of_parts():
        features = model[1](model[0](x))
        return (model[2](features) - x).abs().mean()

    assert found_in(model, x, run=of_parts) == []


def test_parts_of_a_model_that_the_loss_calls_itself_are_seen() -> None:
    model = nn.ModuleDict({"a": nn.Conv2d(3, 3, 3, padding=1), "b": nn.Conv2d(3, 3, 3, padding=1)})
    x = torch.randn(2, 3, 8, 8)
    found = found_in(model, x, run=lambda: model["b"](x + model["a"](x).relu()).mean())
    assert [s.how for s in found] == ["added"]


@pytest.mark.parametrize("written", ["whole", "part"])
def test_an_activation_written_into_a_buffer_is_followed(written: str) -> None:
    class Buffered(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(2))

        def forward(self, x):
            buffer = x.new_zeros(x.shape)
            inner = self.first(x).relu()
            if written == "whole":
                buffer.copy_(inner)
            else:
                buffer[:, :, 1:-1] = inner[:, :, 1:-1]
            buffer += x
            return self.second(buffer)

    assert len(found_in(Buffered(), torch.randn(2, 3, 8, 8))) == 1


def test_functions_of_ones_own_and_compiled_models_are_seen_through() -> None:
    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x.relu()

        @staticmethod
        def backward(ctx, grad):
            return grad

    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 8)

        def forward(self, x):
            return x + Twice.apply(self.layer(x))

    assert len(found_in(Own(), torch.randn(4, 8))) == 1
    assert len(found_in(torch.compile(Own(), backend="eager"), torch.randn(4, 8))) == 1


def test_with_gradients_on_the_same_skips_are_found() -> None:
    model, x = Unet(added=False), torch.randn(2, 3, 16, 16)
    with torch.enable_grad():
        assert len(found_in(model, x)) == 2


def test_nothing_stays_behind() -> None:
    model, x = DenseBlock(nested=True), torch.randn(2, 3, 8, 8)
    expected = model(x)
    found_in(model, x)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert torch.equal(model(x), expected)
    assert torch.backends.mha.get_fastpath_enabled()


def _graph(model, x):
    with torch.no_grad():
        return recorded(lambda: model(x), model, [x])


def test_half_precision_and_complex_numbers_are_activations() -> None:
    class Spectral(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(8, 8, dtype=torch.cfloat))
            self.last = nn.Linear(8, 8)

        def forward(self, x):
            y = torch.fft.ifft(torch.fft.fft(x) @ self.weight).real
            return self.last(x + F.gelu(y))

    assert len(found_in(Spectral(), torch.randn(4, 8))) == 1
    half = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), Block(8, 8)).bfloat16().eval()
    assert len(found_in(half, torch.randn(2, 3, 8, 8, dtype=torch.bfloat16))) == 1
