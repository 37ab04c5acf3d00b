"""The network and its losses: paths, strategies, starts, terms."""

import pytest
import torch
from torch.nn.functional import l1_loss

from unstuck.cases.contrast.losses import content_term, cross_term, edge_term, recon_term
from unstuck.cases.contrast.model import ContrastNet, count_parameters
from unstuck.cases.contrast.recipe import PRESETS, Recipe

STRATEGIES = ["zero_skip", "no_skip", "source_skip", "target_skip", "skip_dropout"]


def network(**changes):
    torch.manual_seed(0)
    return ContrastNet(Recipe(**changes))


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(4, 2, 32, 32, generator=generator) for _ in range(2)]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("same", [False, True])
def test_every_strategy_gives_images_and_uses_every_parameter(images, strategy, same):
    model = network(cross_domain_strategy=strategy, same_domain_use_skip=same)
    out = model(*images)
    assert out.z_a.shape == (4, 32, 8, 8)
    for name in ("a_from_a", "b_from_b", "b_from_a", "a_from_b"):
        assert getattr(out, name).shape == images[0].shape
    (recon_term(out, *images) + cross_term(out, *images)).backward()
    unused = [n for n, p in model.named_parameters() if p.grad is None]
    assert not unused


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_only_the_input_is_needed_and_used_for_translation(images, strategy):
    a, b = images
    model = network(cross_domain_strategy=strategy).eval()
    translated = model.translate(b, "a")
    trained = model(a, b).a_from_b
    assert translated.shape == a.shape
    assert torch.allclose(translated, trained, atol=1e-6) == (strategy != "target_skip")


def test_what_the_cross_path_sees(images):
    a, b = images

    def moved(strategy, change):
        """Whether a_from_b moves when the encoder features of one image's skips change."""
        model = network(cross_domain_strategy=strategy).eval()
        _, source = model.encoder(b)
        _, target = model.encoder(a)
        kept = model.cross_skips(source, target)
        scaled = [[2 * s for s in skips] for skips in (source, target)]
        chosen = (scaled[0], target) if change == "source" else (source, scaled[1])
        again = model.cross_skips(*chosen)
        return kept is not None and any(
            not torch.equal(k, g) for k, g in zip(kept, again, strict=True)
        )

    assert [moved(s, "source") for s in STRATEGIES] == [False, False, True, False, True]
    assert [moved(s, "target") for s in STRATEGIES] == [False, False, False, True, False]


def test_dropped_skips_are_dropped_by_sample_and_in_training_only(images):
    model = network(cross_domain_strategy="skip_dropout", skip_dropout=0.5)
    _, skips = model.encoder(images[0].repeat(16, 1, 1, 1))
    kept = model.cross_skips(skips, None)
    by_level = [(k.abs().sum((1, 2, 3)) > 0) for k in kept]
    assert torch.equal(*by_level)
    assert 10 < by_level[0].sum() < 54
    model.eval()
    kept = model.cross_skips(skips, None)
    assert all(torch.equal(k, s) for k, s in zip(kept, skips, strict=True))


def test_zero_start_reaches_one_tensor_of_each_decoder(images):
    def reach(model):
        out = model(*images)
        (recon_term(out, *images) + cross_term(out, *images)).backward()
        return [
            (sum(bool(p.grad.any()) for p in m.parameters()), len(list(m.parameters())))
            for m in (model.encoder, model.decoder_a, model.decoder_b)
        ]

    healthy = reach(network())
    assert healthy == [(26, 26), (22, 22), (22, 22)]
    assert reach(network(zero_start=True)) == [(0, 26), (1, 22), (1, 22)]


def test_arms_of_a_pair_start_alike():
    """The encoder starts the same whatever the decoders look like."""
    notes, repaired = (network(**PRESETS[p].flat()) for p in ("notes", "repaired"))
    first = repaired.encoder.levels[0][0].weight
    assert torch.equal(notes.encoder.levels[0][0].weight, first)


def test_parameter_counts():
    assert {name: count_parameters(ContrastNet(r)) for name, r in PRESETS.items()} == {
        "reported": 74_100, "notes": 215_108, "repaired": 85_668, "tiny": 85_668,
    }  # fmt: skip


def test_terms_are_mean_absolute_differences(images):
    a, b = images
    out = network()(a, b)
    assert torch.equal(content_term(out), (out.z_a - out.z_b).abs().mean())
    expected = (l1_loss(out.a_from_a, a) + l1_loss(out.b_from_b, b)) / 2
    assert torch.allclose(recon_term(out, a, b), expected)
    expected = (l1_loss(out.a_from_b, a) + l1_loss(out.b_from_a, b)) / 2
    assert torch.allclose(cross_term(out, a, b), expected)
    ideal = out._replace(a_from_b=a + 3, b_from_a=b - 5)  # constant errors have no edges
    assert float(edge_term(ideal, a, b).detach()) == pytest.approx(0, abs=1e-6)
    assert float(edge_term(out, a, b).detach()) > 0.1


def test_a_constant_latent_satisfies_the_plain_content_term_only(images):
    out = network(content_term="predictor")(*images)
    shrunk = out._replace(z_a=out.z_a * 1e-3, z_b=out.z_b * 1e-3)

    def plain(paths):
        return content_term(paths._replace(p_a=None, p_b=None)).item()

    assert plain(shrunk) < 2e-3 * plain(out)
    assert content_term(shrunk).item() == pytest.approx(content_term(out).item(), abs=1e-4)


def test_the_predictor_gets_gradients_and_its_target_none(images):
    model = network(content_term="predictor")
    z_a, z_b = (model.encoder(image)[0].detach().requires_grad_() for image in images)
    out = model(*images)._replace(z_a=z_a, z_b=z_b)
    content_term(out).backward()
    assert z_a.grad is None and z_b.grad is None
    assert all(p.grad is not None for p in model.predictor.parameters())
