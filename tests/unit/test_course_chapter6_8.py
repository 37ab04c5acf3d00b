"""The course's chapters 6 to 8: convolution, activations, normalisation, deep nets, training."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Generator, nn
from torch.nn import functional as F

from unstuck.cases.course import (
    cnn,
    initialisation,
    normalisation,
    regularisation,
    resnet,
    search,
    transfer,
    vgg,
)
from unstuck.data import mobilenet


@pytest.mark.entry("6.02")
def test_six_filters_of_5_x_5_x_3_make_six_maps_of_28_and_each_value_is_a_dot_product() -> None:
    torch.manual_seed(0)
    conv, x = nn.Conv2d(3, 6, 5), torch.randn(1, 3, 32, 32)
    maps = conv(x)[0]
    assert maps.shape == (6, 28, 28)
    assert conv.weight.shape == (6, 3, 5, 5)  # as deep as its input
    by_hand = (conv.weight[2] * x[0, :, 7:12, 20:25]).sum() + conv.bias[2]
    torch.testing.assert_close(maps[2, 7, 20], by_hand)


@pytest.mark.entry("6.08")
@pytest.mark.parametrize("size", [7, 32])
def test_a_convolution_measures_w_minus_k_plus_2p_over_s_plus_1(size: int) -> None:
    for kernel, stride, padding in itertools.product((1, 2, 3, 5), (1, 2, 3), (0, 1, 2)):
        x = torch.zeros(1, 1, size, size + 4)
        found = F.conv2d(x, torch.zeros(1, 1, kernel, kernel), stride=stride, padding=padding)
        expected = [(side - kernel + 2 * padding) // stride + 1 for side in (size, size + 4)]
        assert list(found.shape[2:]) == expected


@pytest.mark.entry("6.06")
def test_padding_of_half_the_kernel_keeps_the_size() -> None:
    for kernel in (1, 3, 5, 7):
        conv = nn.Conv2d(1, 1, kernel, padding=(kernel - 1) // 2)
        assert conv(torch.zeros(1, 1, 11, 9)).shape == (1, 1, 11, 9)
    model = cnn.ConvNet(4, 0.0)
    assert model.conv1(torch.zeros(1, 1, 28, 28)).shape == (1, 4, 28, 28)
    assert nn.Conv2d(1, 1, 3)(torch.zeros(1, 1, 11, 9)).shape == (1, 1, 9, 7)


@pytest.mark.entry("6.04", "6.09")
def test_sharing_needs_few_parameters_and_pooling_none() -> None:
    conv = cnn.ConvNet(16, 0.0).conv1
    shared = sum(p.numel() for p in conv.parameters())
    assert shared == 16 * (3 * 3 + 1)
    assert shared * 10_000 < 28 * 28 * (16 * 28 * 28)  # fully connected, the same maps
    assert not list(nn.MaxPool2d(2).parameters())
    x = torch.zeros(1, 1, 8, 8)
    x[0, 0, 2, 2] = 1
    moved = x.roll(1, 3)  # within its window
    torch.testing.assert_close(F.max_pool2d(x, 2), F.max_pool2d(moved, 2))


@pytest.mark.entry("7.01", "7.02")
def test_saturated_slopes_vanish_where_relus_is_exactly_one() -> None:
    x = torch.linspace(5, 20, 31, dtype=torch.float64).requires_grad_()
    slopes = {
        f: torch.autograd.grad(f(x).sum(), x)[0] for f in (torch.sigmoid, torch.tanh, torch.relu)
    }
    assert slopes[torch.sigmoid].max() < 0.0067
    assert slopes[torch.tanh].max() < 2e-4
    assert (slopes[torch.relu] == 1).all()
    zero = torch.zeros((), requires_grad=True)
    (steepest,) = torch.autograd.grad(torch.sigmoid(zero), zero)
    assert float(steepest) == 0.25
    assert float(steepest) ** 10 < 1e-6  # ten layers


@pytest.mark.entry("4.03", "4.04", "4.05", "4.06", "7.04", "7.05", "7.06")
def test_the_activations_are_their_formulas() -> None:
    x = torch.linspace(-6, 6, 41, dtype=torch.float64)
    phi = 0.5 * (1 + torch.erf(x / math.sqrt(2)))
    formulas = {
        "relu": x.clamp(min=0),
        "leaky": torch.maximum(0.01 * x, x),
        "elu": torch.where(x > 0, x, x.exp() - 1),
        "gelu": x * phi,
        "tanh": (x.exp() - (-x).exp()) / (x.exp() + (-x).exp()),
        "sigmoid": 1 / (1 + (-x).exp()),
    }
    assert set(formulas) == set(vgg.ACTIVATIONS)
    for name, values in formulas.items():
        torch.testing.assert_close(vgg.ACTIVATIONS[name]()(x), values)


@pytest.mark.entry("7.03")
def test_a_unit_that_is_always_negative_has_no_gradient_for_ever() -> None:
    torch.manual_seed(0)
    model, x = cnn.ConvNet(4, -8.0), torch.randn(16, 1, 28, 28)
    F.cross_entropy(model(x), torch.zeros(16, dtype=torch.int64)).backward()
    assert model.conv1.weight.grad is not None
    assert not model.conv1.weight.grad.any()
    assert not F.relu(model.conv1(x)).any()


@pytest.mark.entry("7.08")
@pytest.mark.parametrize("kind", ["batch", "layer", "instance", "group"])
def test_the_written_out_normalisations_are_torchs(kind: str) -> None:
    torch.manual_seed(0)
    ours = normalisation.Norm(8, kind)
    theirs: nn.Module = {
        "batch": nn.BatchNorm2d(8),
        "layer": nn.GroupNorm(1, 8),  # LayerNorm over (c, h, w) with gamma and beta by channel
        "instance": nn.InstanceNorm2d(8, affine=True),
        "group": nn.GroupNorm(normalisation.GROUPS, 8),
    }[kind]
    with torch.no_grad():
        ours.gamma.copy_(torch.rand(8) + 0.5)
        ours.beta.copy_(torch.randn(8))
        theirs.weight.copy_(ours.gamma)
        theirs.bias.copy_(ours.beta)
    for mode in (True, True, False):
        ours.train(mode)
        theirs.train(mode)
        x = (3 * torch.randn(6, 8, 5, 4) + 2).requires_grad_()
        same = x.detach().clone().requires_grad_()
        weights = torch.randn(x.shape)
        (ours(x) * weights).sum().backward()
        (theirs(same) * weights).sum().backward()
        torch.testing.assert_close(ours(x), theirs(same), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(x.grad, same.grad, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(ours.gamma.grad, theirs.weight.grad, atol=1e-3, rtol=1e-4)


def test_layer_normalisation_is_torchs_over_channels_and_space() -> None:
    x = torch.randn(3, 4, 5, 6)
    torch.testing.assert_close(
        normalisation.Norm(4, "layer")(x), F.layer_norm(x, (4, 5, 6)), atol=1e-5, rtol=1e-4
    )


@pytest.mark.entry("7.08")
def test_gamma_sigma_and_beta_mu_give_back_the_input() -> None:
    torch.manual_seed(0)
    x = 3 * torch.randn(10, 4, 5, 5) - 1
    norm = normalisation.Norm(4, "batch")
    with torch.no_grad():
        norm.gamma.copy_((x.var((0, 2, 3), unbiased=False) + normalisation.EPS).sqrt())
        norm.beta.copy_(x.mean((0, 2, 3)))
    torch.testing.assert_close(norm(x), x, atol=1e-5, rtol=1e-5)


@pytest.mark.entry("7.09")
def test_in_testing_a_picture_is_judged_alone_in_training_it_depends_on_its_batch() -> None:
    torch.manual_seed(0)
    norm, x = normalisation.Norm(4, "batch"), torch.randn(8, 4, 3, 3)
    assert not torch.allclose(norm(x)[:2], norm(x[:2]), atol=1e-2)
    norm.eval()
    torch.testing.assert_close(norm(x)[:1], norm(x[:1]))


def test_parts_of_a_batch_are_normalised_by_themselves() -> None:
    torch.manual_seed(0)
    x = torch.randn(6, 4, 3, 3)
    whole, parts = normalisation.Norm(4, "batch"), normalisation.Norm(4, "batch", together=2)
    expected = torch.cat([whole(part) for part in x.split(2)])
    torch.testing.assert_close(parts(x), expected)
    assert not torch.allclose(parts(x), whole(x), atol=1e-2)


@pytest.mark.entry("7.11", "7.12")
def test_hes_start_keeps_the_signal_xaviers_halves_its_variance_a_layer() -> None:
    torch.manual_seed(0)
    x = torch.randn(256, 1, 28, 28)

    def gain(start: str) -> float:
        hidden = initialisation.Deep(12, 256, start).hidden(x)
        return float(hidden[-1].square().mean() / hidden[0].square().mean()) ** (1 / 11)

    with torch.no_grad():
        assert gain("he") == pytest.approx(1, abs=0.12)
        assert gain("xavier") == pytest.approx(0.5, abs=0.06)
        assert gain("too-small") < 0.02
        assert gain("too-large") == pytest.approx(4, abs=0.5)
    random = np.random.default_rng(0)
    W = random.standard_normal((400, 300)) * np.sqrt(2.0 / 400)  # the notes' line
    assert W.std() == pytest.approx(initialisation.std_of("he", 400, 300), rel=0.02)


@pytest.mark.entry("7.15")
def test_three_layers_of_3_x_3_see_7_x_7_with_27_instead_of_49_c_squared_weights() -> None:
    assert [vgg.receptive_field([(3, 1)] * n) for n in (1, 2, 3)] == [3, 5, 7]
    assert vgg.receptive_field([(3, 1), (2, 2), (3, 1)]) == 8
    for layers, field in ((2, 5), (3, 7)):
        stack = nn.Sequential(*(nn.Conv2d(1, 1, 3, bias=False) for _ in range(layers)))
        x = torch.zeros(1, 1, 15, 15, requires_grad=True)
        size = 15 - 2 * layers
        stack(x)[0, 0, size // 2, size // 2].backward()
        assert x.grad is not None
        assert int((x.grad.abs().sum(2) > 0).sum()) == field
    C = 6
    three = sum(nn.Conv2d(C, C, 3, bias=False).weight.numel() for _ in range(3))
    assert (three, nn.Conv2d(C, C, 7, bias=False).weight.numel()) == (27 * C**2, 49 * C**2)


@pytest.mark.entry("7.16", "7.18")
def test_a_residual_block_without_f_is_the_identity_a_plain_one_is_not() -> None:
    torch.manual_seed(0)
    x = torch.rand(2, 4, 6, 6, requires_grad=True)
    for residual in (True, False):
        block = resnet.Block(4, 4, 1, residual)
        nn.init.zeros_(block.norm2.weight)  # F = 0
        y = block(x)
        (slope,) = torch.autograd.grad(y.sum(), x)
        assert torch.equal(y, x) == residual
        assert bool(slope.any()) == residual


def test_a_residual_block_is_f_plus_its_input_also_where_the_size_changes() -> None:
    torch.manual_seed(0)
    x = torch.rand(3, 4, 7, 7)
    block, plain = resnet.Block(4, 8, 2, True).eval(), resnet.Block(4, 8, 2, False).eval()
    plain.load_state_dict(block.state_dict())
    f = block.norm2(block.conv2(F.relu(block.norm1(block.conv1(x)))))
    shortcut = torch.zeros(3, 8, 4, 4)
    shortcut[:, :4] = x[:, :, ::2, ::2]
    torch.testing.assert_close(block(x), F.relu(f + shortcut))
    torch.testing.assert_close(plain(x), F.relu(f))


@pytest.mark.parametrize("depth", [20, 56])
def test_a_resnet_has_the_layers_it_says(depth: int) -> None:
    model = resnet.ResNet(depth, 2, True)
    weighty = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(weighty) == depth
    with pytest.raises(ValueError, match="not 6 n"):
        resnet.ResNet(depth + 1, 2, True)


@pytest.mark.entry("8.08")
def test_inverted_dropout_keeps_the_expectation_and_plain_dropout_halves_it() -> None:
    torch.manual_seed(0)
    drop, x = regularisation.Dropout(0.5), torch.full((100_000,), 3.0)
    kept = drop(x)
    assert set(kept.unique().tolist()) == {0.0, 6.0}
    assert float(kept.mean()) == pytest.approx(3, abs=0.05)
    assert float((kept * 0.5).mean()) == pytest.approx(1.5, abs=0.03)  # not divided by p
    assert torch.equal(drop.eval()(x), x)
    assert not torch.equal(regularisation.Dropout(0.5, always=True).eval()(x), x)


def test_dropout_has_the_distribution_of_torchs() -> None:
    torch.manual_seed(0)
    x = torch.rand(200, 500)
    for keep in (0.5, 0.8):
        ours, theirs = regularisation.Dropout(keep)(x), F.dropout(x, 1 - keep)
        for values in (ours, theirs):
            assert float((values > 0).float().mean()) == pytest.approx(keep, abs=0.01)
            torch.testing.assert_close(values[values > 0], (x / keep)[values > 0])


@pytest.mark.entry("8.07")
def test_n_units_have_2_to_the_n_thinned_networks() -> None:
    torch.manual_seed(0)
    drop = regularisation.Dropout(0.5)
    for units in (1, 3, 5):
        masks = drop(torch.ones(2000, units)) > 0
        assert len(masks.unique(dim=0)) == 2**units


@pytest.mark.entry("8.02", "8.03", "8.04", "8.05")
def test_augmentations_do_what_their_names_say() -> None:
    x = torch.rand(64, 3, 16, 16, generator=Generator().manual_seed(0))

    def random() -> Generator:
        return Generator().manual_seed(1)

    flipped = regularisation.flipped(x, random())
    mirrored = (flipped == x.flip(3)).all(3).all(2).all(1)
    assert ((flipped == x).all(3).all(2).all(1) ^ mirrored).all()
    assert 16 < int(mirrored.sum()) < 48

    torch.testing.assert_close(regularisation.cropped(x, random(), 1.0), x)
    ramp = torch.linspace(0, 1, 16).expand(64, 3, 16, 16)
    windows = regularisation.cropped(ramp, random(), 0.5)
    assert windows.shape == ramp.shape
    spans = windows[:, 0, 0, -1] - windows[:, 0, 0, 0]
    assert 0.45 < float(spans.min()) < 0.65  # the smallest windows
    assert float(spans.max()) > 0.85

    torch.testing.assert_close(regularisation.jittered(x, random(), 0.0), x)
    jittered = regularisation.jittered(x, random())
    assert 0 <= jittered.min() < jittered.max() <= 1
    assert (jittered.mean((1, 2, 3)) / x.mean((1, 2, 3))).std() > 0.05
    grey = x[:, :1].expand(-1, 3, -1, -1)
    same = regularisation.jittered(grey, random())
    torch.testing.assert_close(same[:, 0], same[:, 2])  # grey stays grey

    erased = (regularisation.cut_out(x + 1, random(), 6) == 0).all(1)
    assert erased.sum((1, 2)).max() == 36
    assert erased.sum((1, 2)).min() >= 9  # a corner of the square at least


@pytest.mark.entry("8.12")
def test_equal_scores_cost_log_c() -> None:
    for classes in (2, 10, 1000):
        loss = F.cross_entropy(torch.zeros(4, classes), torch.arange(4) % classes)
        assert float(loss) == pytest.approx(math.log(classes), rel=1e-5)
    torch.manual_seed(0)
    x, y = torch.randn(200, 1, 28, 28), torch.randint(10, (200,))
    losses = [float(F.cross_entropy(search.Net(64, s)(x), y).detach()) for s in (0.01, 1.0, 30.0)]
    assert losses[0] == pytest.approx(math.log(10), abs=1e-3)
    assert losses[1] == pytest.approx(math.log(10), abs=0.25)
    assert losses[2] > 20


def test_mobilenet_has_the_published_size_and_residuals() -> None:
    model = mobilenet.MobileNetV2()
    assert sum(p.numel() for p in model.parameters()) == 3_504_872
    assert len(model.features) == 19
    assert sum(isinstance(m, mobilenet.Block) and m.residual for m in model.features) == 10
    small = mobilenet.MobileNetV2(width=0.25).eval()
    assert small.features(torch.zeros(1, 3, 64, 64)).shape == (1, 1280, 2, 2)
    assert small(torch.zeros(1, 3, 32, 32)).shape == (1, 1000)


@pytest.mark.entry("8.09")
def test_a_tail_keeps_its_batch_statistics_while_it_is_trained() -> None:
    network = mobilenet.MobileNetV2(width=0.25)
    tail = transfer.Tail(network.features[17:], nn.Linear(1280, 3)).train()
    norms = [m for m in tail.modules() if isinstance(m, nn.BatchNorm2d)]
    before = [n.running_mean.clone() for n in norms if n.running_mean is not None]
    channels = network.features[16](network.features[:16](torch.rand(4, 3, 32, 32)))
    tail(channels + 1).sum().backward()
    after = [n.running_mean for n in norms]
    assert before
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True) if b is not None)
    assert all(p.grad is not None for p in tail.parameters())
