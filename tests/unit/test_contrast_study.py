"""The study's arithmetic on outcomes whose effects are known."""

import numpy as np
import pytest

from unstuck import Outcome, Plan, Trial, case_options
from unstuck.cases.contrast import pictures, study
from unstuck.cases.contrast.recipe import PRESETS, made

SEEDS = (0, 1, 2)
EFFECTS = (0.5, 2.0, -4.0)  # of each factor, in dB


def outcome(arm, seed, psnr, codes=None):
    metrics = {"psnr": psnr, "cross": 0.3, "latent_std": 0.01, "psnr_mean": 9.0, "psnr_copy": 10.0}
    return Outcome(arm, seed, metrics, codes)


def trial(outcomes):
    return Trial(Plan("psnr", {}, (), SEEDS), tuple(outcomes), ())


@pytest.fixture
def factors():
    """Every cell is the sum of its factors' effects and of the seed's own level."""
    cells = [
        outcome(
            "baseline" if arm == "000" else arm,
            seed,
            10 + seed + sum(e for e, level in zip(EFFECTS, arm, strict=True) if level == "1"),
        )
        for arm in study.factor_arms()
        for seed in SEEDS
    ]
    return trial(reversed(cells))


def test_main_effects_are_recovered_by_pairing(factors):
    cells = {
        a: study.by_seed(factors, "baseline" if a == "000" else a) for a in study.factor_arms()
    }
    for place, expected in enumerate(EFFECTS):
        assert np.allclose(study.effect(cells, place), expected)


def test_factor_tables_show_cells_and_effects(factors):
    text = "\n".join(study.factor_tables(factors))
    assert "| True, zero_skip | 1.0 | False | 11.00 (8.52 to 13.48) | 0.300 | 0.01 |" in text
    assert "| content weight, changed | 2.00 (2.00 to 2.00) | 2.00 (2.00 to 2.00) |" in text
    assert "| zero start, changed | -4.00 (-4.00 to -4.00) |  |" in text


def test_the_first_cell_is_the_reported_form_and_every_arm_is_a_recipe():
    arms = study.factor_arms()
    reported = PRESETS["reported"].flat()
    assert len(arms) == 8
    assert made(reported | dict(arms["000"])) == PRESETS["reported"]
    assert len({made(reported | dict(changes)) for changes in arms.values()}) == 8
    for changes in study.CLAIMS.values():
        assert made(PRESETS["notes"].flat() | dict(changes)) != PRESETS["notes"]


def test_interval_is_that_of_the_t_distribution():
    assert study.interval(np.array([1.0, 2.0, 3.0])) == "2.00 (-0.48 to 4.48)"
    assert study.interval(np.array([1.0])) == "1.00"
    assert study.interval(np.array([1.0, np.nan])) == "nan"


def test_counts_what_was_named_first():
    runs = [outcome("x", s, 9.0, codes=c) for s, c in enumerate([("A1", "B2"), ("A1",), ()])]
    assert case_options.named_first(trial(runs), "x") == "A1 2 of 3, none 1 of 3"
    assert case_options.named_first(trial([outcome("x", 0, 9.0)]), "x") == ""


def test_pictures_of_two_runs_are_joined(tmp_path, capsys):
    images = {
        name: np.full((4, 8, 8), i, dtype=np.float16) for i, name in enumerate(pictures.ARRAYS)
    }
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        pictures.write(images, tmp_path / name)
    words = [str(tmp_path / name) for name in ("one", "two", "joined.png")]
    assert pictures.main(words) == 0
    assert (tmp_path / "joined.png").stat().st_size > 0
    assert pictures.main(words[:2]) == 2
    assert pictures.main([str(tmp_path / "none"), *words[1:]]) == 2
    assert "holds no pictures left by `train --out`" in capsys.readouterr().err
    pictures.write({n: v[:2] for n, v in images.items()}, tmp_path / "two")
    assert pictures.main(words) == 2
    assert "show different images" in capsys.readouterr().err
