"""path-reliance against a slow obvious twin, and what a user reads from it."""

import pytest
import torch

import unstuck


def twin(name, decode, z, skips, loss, known=None):
    """The same, sample by sample and without cleverness."""
    intact = loss(decode(z, skips)).item()
    swapped = torch.stack([z[(i - len(z) // 2) % len(z)] for i in range(len(z))])
    facts = {f"reliance/{name}/bottleneck": loss(decode(swapped, skips)).item() / intact}
    if skips:
        silent = [s - s for s in skips]
        facts[f"reliance/{name}/skips"] = loss(decode(z, silent)).item() / intact
    if known is not None:
        facts[f"reliance/{name}/leak"] = loss(decode(z, known)).item() / intact
    return facts


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    z, fine, coarse, noise = (torch.randn(6, 3, 4, 4, generator=generator) for _ in range(4))
    return z, [fine, coarse], noise


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_equals_the_slow_twin(batch, share):
    z, skips, noise = batch

    def decode(z, skips):
        return share * z + (1 - share) * (skips[0] + skips[1] ** 2)

    target = decode(z, skips) + 0.1 * noise
    known = [s.flip(0) for s in skips]

    def loss(prediction):
        return (prediction - target).abs().mean()

    ours = unstuck.path_reliance("up", decode, z, skips, loss, known=known)
    assert ours == pytest.approx(twin("up", decode, z, skips, loss, known), rel=1e-6)


def test_says_what_the_output_lives_on(batch):
    z, skips, noise = batch

    def facts(decode):
        target = decode(z, skips) + 0.01 * noise
        return unstuck.path_reliance("p", decode, z, skips, lambda y: (y - target).abs().mean())

    by_skips = facts(lambda z, skips: skips[0])
    assert by_skips["reliance/p/skips"] > 10
    assert by_skips["reliance/p/bottleneck"] == pytest.approx(1)
    by_bottleneck = facts(lambda z, skips: z)
    assert by_bottleneck["reliance/p/skips"] == pytest.approx(1)
    assert by_bottleneck["reliance/p/bottleneck"] > 10


def test_a_path_without_skips_has_no_fact_on_skips(batch):
    z, _, noise = batch
    facts = unstuck.path_reliance("p", lambda z, _: z, z, None, lambda y: (y - noise).abs().mean())
    assert set(facts) == {"reliance/p/bottleneck"}


def test_changes_nothing_and_needs_two_samples(batch):
    z, skips, _ = batch
    layer = torch.nn.Conv2d(3, 3, 1)
    before = [s.clone() for s in skips]
    unstuck.path_reliance("p", lambda z, s: layer(z) + s[0], z, skips, lambda y: y.abs().mean())
    assert all(p.grad is None for p in layer.parameters())
    assert all(torch.equal(s, b) for s, b in zip(skips, before, strict=True))
    with pytest.raises(ValueError, match="at least two samples"):
        unstuck.path_reliance("p", lambda z, _: z, z[:1], None, lambda y: y.abs().mean())
