"""registration finds offsets to a tenth of a pixel, and claims none where there is none."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from trainings.data_checks import fonts, strokes, tissue

from unstuck import Run, diagnose
from unstuck.cases.contrast.data import physics
from unstuck.cases.contrast.recipe import made
from unstuck.examine import performed
from unstuck.experiment import NotProbed
from unstuck.lab.phase import edges, offsets
from unstuck.lab.subject import Subject
from unstuck.probes.registration import registration

RIM = 6  # px that are cut off after a shift: what comes in from the other side


def result_of(batch, batches=(), **more):
    model = nn.Conv2d(1, 1, 3, padding=1)
    return performed(registration, Subject(model, batch, F.mse_loss, batches=batches, **more))


def facts_of(batch, batches=(), **more):
    facts = result_of(batch, batches, **more).facts
    return {name.split("/")[-1]: value for name, value in facts.items()}


def alarms(batch, batches):
    facts = result_of(batch, batches).facts
    return [f.code for f in diagnose(Run.of(facts=facts)).at_least("warning")]


def shifted(x, right, down):
    """By the theorem: exact for what is periodic and has no finer detail than two pixels."""
    fy, fx = torch.fft.fftfreq(x.shape[-2])[:, None], torch.fft.fftfreq(x.shape[-1])
    turned = torch.exp(-2j * torch.pi * (fx * right + fy * down))
    return torch.fft.ifft2(torch.fft.fft2(x) * turned).real


def textures(count, size=64):
    """Noise of 1 / f, as natural pictures have it, from 0 to 1."""
    f = torch.fft.fftfreq(size)[:, None].hypot(torch.fft.fftfreq(size)[None])
    f[0, 0] = torch.inf
    x = torch.fft.ifft2(torch.fft.fft2(torch.randn(count, 1, size, size)) / f).real
    low = x.amin((2, 3), keepdim=True)
    return (x - low) / (x.amax((2, 3), keepdim=True) - low)


def scans(count, seed):
    """Two contrasts of the same slices."""
    sizes = {"crop_size": 64, "train_subjects": count - 2, "test_subjects": 2, "slices": 1}
    pair = physics(made(sizes), seed)[:2]
    return [torch.from_numpy(np.abs(x)).float()[:, None] for x in pair]


def digits(count):
    small = torch.from_numpy(load_digits().images[:count] / 16).float()[:, None]
    return F.interpolate(small, 48, mode="bilinear")


def pairs_of(kind, seed):
    torch.manual_seed(seed)
    if kind == "contrasts":
        return scans(32, seed)
    if kind == "inverted":
        x = F.interpolate(strokes(32, 2.0)[0], 64, mode="bilinear")
        return x, 1 - x
    if kind == "styles":
        light, ends = strokes(32, 1.0)
        return [F.interpolate(x, 64, mode="bilinear") for x in (light, strokes(32, 2.5, ends)[0])]
    x = {
        "glyphs": lambda: strokes(32, 3.0)[0],
        "hairlines": lambda: strokes(32, 1.0)[0],
        "textures": lambda: textures(32),
        "scans": lambda: scans(32, seed)[0],
        "digits": lambda: digits(32),
    }[kind]()
    return x, x


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("kind", "noise"),
    [
        ("glyphs", 0.2), ("hairlines", 0.2), ("inverted", 0.2), ("textures", 0.2), ("styles", 0.1),
        ("digits", 0.1), ("scans", 0.05), ("contrasts", 0.05), ("glyphs", 0.0), ("textures", 0.0),
    ],
)  # fmt: skip
def test_within_a_tenth_of_a_pixel(kind, noise, seed) -> None:
    a, b = pairs_of(kind, seed)
    right, down = (6 * torch.rand(2) - 3).tolist()
    a, b = (x[..., RIM:-RIM, RIM:-RIM] for x in (a, shifted(b, right, down)))
    a, b = (x + noise * (x.max() - x.min()) * torch.randn_like(x) for x in (a, b))
    facts = facts_of((a, b))
    assert np.hypot(facts["dx"] - right, facts["dy"] - down) < 0.1
    assert facts["agreement"] > 0.6


@pytest.mark.parametrize("seed", range(4))
def test_the_same_as_the_shift_that_leaves_least_difference(seed) -> None:
    """Slow and obvious: shift by every twentieth of a pixel and look at what is left."""
    torch.manual_seed(seed)
    x = F.avg_pool2d(F.pad(textures(1, 32), [2] * 4, mode="circular"), 5, 1)
    right, down = (2 * torch.rand(2) - 1).tolist()
    y = shifted(x, right, down)
    tries = [(i / 20, j / 20) for i in range(-24, 25) for j in range(-24, 25)]
    best = min(tries, key=lambda by: float((shifted(x, *by) - y).square().sum()))
    found = offsets(edges(x.double().numpy()), edges(y.double().numpy()))
    assert np.hypot(found.dx - best[0], found.dy - best[1]) < 0.06


@pytest.mark.parametrize("count", [16, 64])
def test_the_interval_holds_the_offset(count) -> None:
    held = 0
    for seed in range(20):
        torch.manual_seed(seed)
        x = textures(count, 44)
        a, b = (y[..., 6:-6, 6:-6] for y in (x, shifted(x, 1.3, -0.4)))
        facts = facts_of((a + 0.2 * torch.randn_like(a), b + 0.2 * torch.randn_like(b)))
        held += facts["low"] - 0.05 <= np.hypot(1.3, 0.4) <= facts["high"] + 0.05  # its grain
    assert held >= 17


def moved_one_by_one():
    x = textures(16, 48)
    ways = (6 * torch.rand(16, 2) - 3).tolist()
    y = torch.cat([shifted(one[None], *way) for one, way in zip(x, ways, strict=True)])
    return x[..., 6:-6, 6:-6], y[..., 6:-6, 6:-6]


def noised():
    x, noise = textures(16), torch.randn(16, 1, 64, 64)
    return 0.7 * x + 0.7 * noise, noise


HEALTHY = {
    "themselves": lambda: (textures(16),) * 2,
    "styles": lambda: fonts(16),
    "contrasts": lambda: tissue(16),
    "inverted": lambda: (lambda x: (x, 1 - x))(textures(16)),
    "masks": lambda: (lambda x: (x, (x[:, 0] > 0.5).long()))(textures(16)),
    "colours of grey": lambda: (lambda x: (x, torch.cat([x, x**2, 1 - x], 1)))(textures(16)),
    "a hole to fill": lambda: (lambda x: (x * (torch.arange(64) < 32), x))(textures(16)),
    "noise to take away": noised,
    "twice as large": lambda: (lambda x: (F.avg_pool2d(x, 2), x))(textures(16)),
    "every second pixel": lambda: (lambda x: (x[..., ::2, ::2], x))(textures(16)),
    "motion": moved_one_by_one,
    "other textures": lambda: (textures(16), textures(16)),
    "other glyphs": lambda: (fonts(16)[0], fonts(16)[1]),
    "other digits": lambda: (digits(16), digits(32)[16:]),
    "mirrored digits": lambda: (lambda x: (x, x.flip(3)))(digits(16)),
    "noise": lambda: (torch.rand(16, 1, 24, 24), torch.rand(16, 1, 24, 24)),
    "one colour": lambda: (torch.ones(16, 1, 24, 24), torch.rand(16, 1, 24, 24)),
}


@pytest.mark.parametrize("kind", HEALTHY)
def test_no_alarm_about_pairs_that_are_as_they_should_be(kind) -> None:
    for seed in range(3):
        torch.manual_seed(seed)
        data = [HEALTHY[kind]() for _ in range(3)]
        if kind == "one colour":
            with pytest.raises(NotProbed, match="one colour"):
                result_of(data[0], data[1:])
        else:
            assert not alarms(data[0], data[1:])


def test_two_pixels_are_an_alarm_over_batches_and_a_hint_within_one() -> None:
    torch.manual_seed(0)
    data = [fonts(8, right=2.0) for _ in range(3)]
    assert alarms(data[0], data[1:]) == ["DAT003"]
    assert alarms(data[0], ()) == []
    found = result_of(data[0], data[1:])
    assert "to the right" in found.said[0] and "in 100% of 24 pairs" in found.said[0]


def test_a_shift_drawn_batch_by_batch_is_none_of_the_pairs() -> None:
    torch.manual_seed(0)
    data = [
        (x, x.roll(by, (2, 3))) for by in ((2, 0), (-2, 1), (1, -2), (0, 2)) for x in [textures(8)]
    ]
    assert not alarms(data[0], data[1:])


def test_tells_jitter_from_pictures_that_have_nothing_in_common() -> None:
    torch.manual_seed(0)
    jittered, strangers = result_of(moved_one_by_one()), result_of((textures(16), textures(16)))
    assert "each pair lies elsewhere" in jittered.said[0]
    assert "no better than shuffled ones" in strangers.said[0]


def test_tells_a_turn_and_a_size_from_an_offset() -> None:
    torch.manual_seed(0)
    x = textures(16, 96)
    turn = np.deg2rad(3)
    for matrix, turned, larger in (
        ([[np.cos(turn), np.sin(turn), 0], [-np.sin(turn), np.cos(turn), 0]], 3, 0),
        ([[1 / 1.05, 0, 0], [0, 1 / 1.05, 0]], 0, 5),
    ):
        theta = torch.tensor(matrix, dtype=torch.float32).expand(16, 2, 3)
        grid = F.affine_grid(theta, list(x.shape), align_corners=False)
        y = F.grid_sample(x, grid, mode="bicubic", align_corners=False)
        facts = facts_of((x[..., 8:-8, 8:-8], y[..., 8:-8, 8:-8]))
        assert facts["offset"] < 0.2
        assert facts["turn"] == pytest.approx(turned, abs=0.3)
        assert facts["stretch"] == pytest.approx(larger, abs=0.5)


PREPARED = {
    "order": (lambda x: x.flip(1), "reversed", "reversed order"),
    "flip": (lambda x: x.flip(3), "left-right", "flipped (left-right)"),
    "dy": (lambda x: x.roll(1, 2), 1.0, "moved"),
    "gain": (lambda x: 255 * x, 255.0, "scaled by 255"),
    "bias": (lambda x: x - x.std(), -1.0, "its mean moved"),
    "sharpness": (lambda x: F.avg_pool2d(x, 3, 1, 1), 0.5, "detail x0"),
}


@pytest.mark.parametrize("what", PREPARED)
def test_names_what_use_prepares_otherwise_than_training(what) -> None:
    torch.manual_seed(0)
    x = torch.cat([textures(8), textures(8), textures(8)], 1)
    change, value, words = PREPARED[what]
    subject = Subject(
        nn.Conv2d(3, 3, 3), (x, x), F.mse_loss, at_inference=lambda batch: change(batch[0])
    )
    subject.loss = lambda prediction, target: prediction.mean()
    found = performed(registration, subject)
    facts = {n.split("/")[-1]: v for n, v in found.facts.items() if n.startswith("preparation")}
    assert facts[what] == (value if isinstance(value, str) else pytest.approx(value, rel=0.3))
    untouched = {"order": "same", "flip": "none"} | dict.fromkeys(("dx", "dy", "bias"), 0.0)
    for other, usual in (untouched | {"gain": 1.0, "sharpness": 1.0}).items():
        if other not in (what, {"gain": "bias", "sharpness": "gain"}.get(what)):
            assert facts[other] == (
                usual if isinstance(usual, str) else pytest.approx(usual, abs=0.1)
            )
    assert words in found.said[-1]


def test_says_that_use_sees_what_training_saw() -> None:
    torch.manual_seed(0)
    x = textures(8)
    same = result_of((x, x), at_inference=lambda batch: batch[0])
    assert same.said[-1].startswith("Use sees the pictures as training does")
    cut = result_of((x, x), at_inference=lambda batch: batch[0][..., 2:])
    assert cut.facts["preparation/model/shape"] == "1 x 64 x 62 for 1 x 64 x 64"


@pytest.mark.parametrize("kind", ["half", "bfloat16", "complex", "bytes", "dict", "named", "large"])
def test_pictures_of_every_kind(kind) -> None:
    torch.manual_seed(0)
    x = textures(8, 600 if kind == "large" else 64)
    y = x.roll(3, 3)
    more = {}
    if kind in ("half", "bfloat16"):
        x, y = (t.to(getattr(torch, {"half": "float16"}.get(kind, kind))) for t in (x, y))
    if kind == "complex":
        x, y = (torch.complex(t, 0.1 * t) for t in (x, y))
    if kind == "bytes":
        x, y = ((255 * t).to(torch.uint8) for t in (x, y))
    batch = (x, y)
    if kind == "dict":
        batch = {"weights": torch.rand(8), "image": x, "target": y}
    if kind == "named":
        batch, more = {"a": y, "b": x}, {"paired": lambda batch: (batch["b"], batch["a"])}
    facts = facts_of(batch, **more)
    assert facts["dx"] == pytest.approx(3, abs=0.1) and abs(facts["dy"]) < 0.1


def test_samples_that_are_not_finite_are_left_out() -> None:
    torch.manual_seed(0)
    x = textures(8)
    y = x.roll(2, 2)
    y[3, 0, 5, 5] = torch.nan
    facts = facts_of((x, y))
    assert facts["pairs"] == 7 and facts["dy"] == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize(
    ("batch", "reason"),
    [
        ((torch.rand(8, 64), torch.rand(8, 64)), "no pictures"),
        ((torch.rand(8, 3, 8, 8), torch.rand(8, 3, 8, 8)), "no pictures"),
        ((torch.rand(8, 3, 32, 32), torch.randint(10, (8,))), "no second picture"),
        ((torch.rand(8, 3, 32, 32), torch.rand(8, 3, 20, 20)), "no second picture"),
        ((torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)), "only 1 pairs"),
        ((torch.randint(9, (8, 20)), torch.randint(9, (8, 20))), "no pictures"),
    ],
)
def test_says_why_there_is_nothing_to_look_at(batch, reason) -> None:
    with pytest.raises(NotProbed, match=reason):
        result_of(batch)


def test_one_seed_and_one_target_are_no_pairs() -> None:
    """An automaton grows a picture out of a cell elsewhere."""
    torch.manual_seed(0)
    seed, target = torch.zeros(8, 1, 32, 32), textures(1, 32).expand(8, -1, -1, -1)
    seed[:, :, 12, 20] = 1
    with pytest.raises(NotProbed, match="only 1 pairs"):
        result_of((seed, target))
    data = [(seed + 0.02 * torch.randn_like(seed), target) for _ in range(4)]
    assert not alarms(data[0], data[1:])
