"""Training end to end, in small: what is reported, that it repeats, that the illness shows."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import unstuck
from unstuck.cases.contrast import diagnose as examination
from unstuck.cases.contrast.data import Pairs, make_pairs
from unstuck.cases.contrast.evaluate import magnitude, psnr, ssim
from unstuck.cases.contrast.model import ContrastNet
from unstuck.cases.contrast.recipe import PRESETS, Recipe
from unstuck.cases.contrast.train import METRIC, main, train

SHORT = {"crop_size": 32, "train_subjects": 12, "test_subjects": 4, "steps": 40}


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    reported, noted = [], {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unstuck, "log", lambda **metrics: reported.append(metrics))
        patch.setattr(unstuck, "note", noted.update)
        metrics = train(PRESETS["tiny"].flat(), seed=0, out=folder)
    return folder, metrics, reported, noted


def test_the_tiny_preset_learns_more_than_the_mean_image(tiny):
    _, metrics, _, _ = tiny
    assert metrics[METRIC] > metrics["psnr_mean"] + 0.3
    assert all(np.isfinite(v) for v in metrics.values())


def test_reports_held_out_quality_and_what_its_paths_live_on(tiny):
    _, metrics, reported, noted = tiny
    assert len(reported) == 5
    assert reported[-1]["val_psnr"] == pytest.approx(metrics["psnr"])
    assert reported[-1]["val_loss"] < reported[0]["val_loss"]
    assert set(noted) == {
        "reliance/same/bottleneck",
        "reliance/cross/bottleneck",
        "reliance/cross/skips",
    }


def test_leaves_pictures_weights_and_metrics(tiny):
    folder, metrics, _, _ = tiny
    with np.load(folder / "held_out.npz", allow_pickle=False) as file:
        arrays = dict(file)
    assert list(arrays) == ["input", "prediction", "target"]
    assert {(v.dtype, v.shape) for v in arrays.values()} == {(np.dtype("f2"), (12, 32, 32))}
    with Image.open(folder / "held_out.png") as picture:
        assert picture.size == (4 * 64 + 3 * 4, 6 * 64 + 5 * 4)
    assert json.loads((folder / "metrics.json").read_text()) == metrics
    model, held_out = examination.trained(folder)
    prediction = magnitude(model.translate(held_out.b, "a")).detach().numpy()
    assert np.allclose(arrays["prediction"], prediction, atol=2e-3)


def test_one_seed_gives_one_result_and_another_another():
    recipe = Recipe(**SHORT | {"steps": 4})
    first, again, other = (train(recipe, seed) for seed in (0, 0, 1))
    for metrics in (first, again, other):
        metrics.pop("seconds")
    assert first == again
    assert first["psnr"] != other["psnr"]


def test_the_published_remedy_collapses_the_latent_and_the_repaired_form_does_not():
    kept = {}
    for preset in ("notes", "repaired"):
        recipe = PRESETS[preset].model_copy(
            update={"crop_size": 32, "test_subjects": 4, "steps": 60}
        )
        start = train(recipe.model_copy(update={"steps": 1}), seed=0)["latent_std"]
        kept[preset] = train(recipe, seed=0)["latent_std"] / start
    assert kept["notes"] < 0.05
    assert kept["repaired"] > 0.3


def test_target_skips_leak_the_answer():
    metrics = train(Recipe(**SHORT, cross_domain_strategy="target_skip"), seed=0)
    healthy = train(Recipe(**SHORT), seed=0)
    assert metrics["cross"] < healthy["cross"]  # looks better in training
    assert metrics["psnr"] < healthy["psnr"] - 1  # and is worse when only b is given


def test_command_line_prints_progress_facts_and_metrics(capsys):
    words = ["--preset", "tiny", "--steps", "3", "--set", "train_subjects=4", "--seed", "2"]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "85,668 parameters, 8 training pairs" in printed
    assert "step    3" in printed
    assert "reliance/cross/skips" in printed
    assert printed.splitlines()[-1].startswith("psnr ")


def test_psnr_and_ssim_are_those_of_the_textbook():
    clean = torch.zeros(2, 2, 16, 16)
    clean[:, 0] = 1 + torch.linspace(0, 1, 16)  # peak 2
    assert psnr(clean + 0.02, clean) == pytest.approx(20 * np.log10(2 / (0.02 * 2**0.5)), abs=1e-4)
    assert ssim(clean, clean) == pytest.approx(1)
    assert ssim(clean.flip(3), clean) < 0.5


def shifted(pairs, rows):
    return Pairs(**{
        n: getattr(pairs, n).roll(rows, 2) if n.startswith("b") and getattr(pairs, n).ndim == 4
        else getattr(pairs, n) for n in pairs.__dataclass_fields__
    })  # fmt: skip


@pytest.fixture(scope="module")
def pairs():
    return make_pairs(Recipe(train_subjects=2, test_subjects=6), seed=0)[1]


def test_diagnose_finds_misregistered_pairs(pairs):
    assert examination.offset(pairs) < 0.5
    assert examination.offset(shifted(pairs, 2)) == pytest.approx(2, abs=0.3)


def test_diagnose_tells_domains_apart_where_they_differ():
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(40, 6, 4, 4, generator=generator) for _ in range(2))
    assert 0.3 < examination.domain_accuracy(a, b) < 0.7
    assert examination.domain_accuracy(a, b + 1) > 0.95


@pytest.mark.parametrize("strategy", ["no_skip", "zero_skip", "source_skip", "target_skip"])
def test_diagnose_measures_what_is_there(pairs, strategy):
    torch.manual_seed(0)
    same = strategy == "zero_skip"
    model = ContrastNet(Recipe(cross_domain_strategy=strategy, same_domain_use_skip=same))
    facts = examination.diagnose(model, [pairs])
    own = ("own",) if strategy == "no_skip" else ("own", "zero", "another", "target")
    assert [k for k in facts if k.startswith("cross/")] == [f"cross/{kind}" for kind in own]
    assert ("recon/zero" in facts) == same
    assert ("reliance/cross/leak" in facts) == (strategy == "target_skip")
    if strategy == "zero_skip":
        assert facts["cross/own"] == facts["cross/zero"] == facts["cross/another"]
    if strategy == "target_skip":
        assert facts["cross/own"] == facts["cross/target"] != facts["cross/zero"]
        assert facts["reliance/cross/leak"] == facts["reliance/cross/skips"]
    assert facts["reach/cross/encoder"] == 1
    assert facts["reach/content/decoder_a"] == 0


def test_diagnose_sees_a_zero_start(pairs):
    facts = examination.diagnose(ContrastNet(Recipe(zero_start=True)), [pairs])
    assert facts["reach/cross/decoder_a"] == 1 / 22
    assert facts["reach/cross/encoder"] == 0


def test_diagnose_averages_over_batches_and_needs_one(pairs):
    torch.manual_seed(0)
    model = ContrastNet(Recipe())
    halves = [pairs[:6], pairs[6:]]
    both, *each = (examination.diagnose(model, x) for x in (halves, halves[:1], halves[1:]))
    assert both["recon/own"] == pytest.approx(np.mean([f["recon/own"] for f in each]))
    with pytest.raises(ValueError, match="at least one batch"):
        examination.diagnose(model, [])


def test_diagnose_program_reads_what_training_left(tiny, capsys, tmp_path):
    folder, *_ = tiny
    assert examination.main(["--run", str(folder)]) == 0
    assert "latent/batch_std" in capsys.readouterr().out
    assert examination.main(["--run", str(tmp_path)]) == 2
    assert "holds no model left by `train --out`" in capsys.readouterr().err
