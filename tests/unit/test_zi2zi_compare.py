"""Two recipes side by side: what is paired, what is shown, and what cannot be compared."""

import json

import numpy as np
import pytest
from PIL import Image
from scipy import stats
from zi2zi_runs import bars, left

from unstuck.cases.zi2zi import compare
from unstuck.cases.zi2zi.recipe import Recipe
from unstuck.data import mobilenet
from unstuck.data.package import cache

cached = (cache() / f"{mobilenet.PACKAGE.name}-{mobilenet.PACKAGE.version}").is_dir()
needs_weights = pytest.mark.skipif(not cached, reason="the weights of MobileNetV2 are not cached")


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """Tables as wide as they want, whatever terminal an earlier test asked for."""
    monkeypatch.delenv("COLUMNS", raising=False)


def row_of(printed, name):
    (line,) = [s for s in printed.splitlines() if s.startswith(f"│ {name} ")]
    return [cell.strip() for cell in line.split("│")[1:-1]]


def two(folder, **changes):
    """A run with much noise, and one of another form with little."""
    a = left(folder / "a", noise=0.3)
    return a, left(folder / "b", noise=0.1, recipe={"lambda_adv": 0.5}, **changes)


@needs_weights
def test_one_seed_is_paired_over_characters(tmp_path, capsys):
    a, b = two(tmp_path)
    words = [str(a), str(b), "--ocr", "0", "--out", str(tmp_path / "out")]
    assert compare.main(words) == 0
    printed = capsys.readouterr().out
    arrays = [dict(np.load(folder / "held_out.npz")) for folder in (a, b)]
    each = [np.abs(x["prediction"].astype(float) - x["target"]).mean((1, 2)) / 255 for x in arrays]
    row = row_of(printed, "L1")
    assert row[1:4] == [
        f"{each[0].mean():.4f}",
        f"{each[1].mean():.4f}",
        f"{(each[1] - each[0]).mean():+.4f}",
    ]
    low, high = stats.ttest_rel(each[1], each[0]).confidence_interval()
    assert row[4] == f"{low:+.4f} to {high:+.4f}"
    assert row[5] == "B better"
    assert row_of(printed, "SSIM")[5] == "B better"
    assert row_of(printed, "Frechet")[4:] == ["-", ""]
    assert "over 12 characters" in printed and "B: repaired, lambda_adv=0.5" in printed
    with Image.open(tmp_path / "out" / "compare.png") as picture:
        assert picture.width * picture.height > 10 * 6 * 64 * 64
        assert len(picture.getcolors() or ()) > 20  # differences in grey


def test_over_seeds_the_interval_is_of_their_means():
    rng = np.random.default_rng(0)
    pairs = [(rng.normal(0, 1, 50), rng.normal(0.5, 1, 50)) for _ in range(4)]
    means = np.array([b.mean() - a.mean() for a, b in pairs])
    found = compare.difference(pairs)
    assert found.b - found.a == pytest.approx(means.mean())
    expected = stats.ttest_1samp(means, 0).confidence_interval()
    assert found.interval == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(
    ("interval", "more", "said"),
    (
        ((0.1, 0.2), True, "B better"),
        ((0.1, 0.2), False, "A better"),
        ((-0.2, -0.1), True, "A better"),
        ((-0.2, -0.1), False, "B better"),
        ((-0.1, 0.1), True, "not shown"),
        (None, True, ""),
    ),
)
def test_a_verdict_needs_an_interval_on_one_side(interval, more, said):
    assert compare.Difference(0, 0, interval).verdict(more) == said


def test_the_picture_goes_from_the_best_of_a_to_the_best_of_b():
    target = np.stack([bars(1)[0]] * 3)
    drawn = target.copy()
    drawn[2] = 255 - drawn[2]
    found = compare.wrong(*(compare_pictures(x) for x in (drawn, target)))
    assert (found[:2] == 1).all() and (found[2] == -1).all()


def compare_pictures(array):
    import torch

    return torch.from_numpy(array)[:, None].float() / 127.5 - 1


def one_line(words, capsys):
    assert compare.main([*map(str, words), "--ocr", "0"]) == 2
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    return printed.err


def test_other_characters_cannot_be_paired(tmp_path, capsys):
    others = np.array([chr(0x5E00 + i) for i in range(12)])
    a, b = two(tmp_path, characters=others)
    said = one_line([a, b, "--out", tmp_path / "out"], capsys)
    assert "have not held out the same characters" in said


def test_characters_drawn_elsewhere_cannot_be_paired(tmp_path, capsys):
    a, b = two(tmp_path, target=np.roll(bars(12), 2, axis=2))
    said = one_line([a, b, "--out", tmp_path / "out"], capsys)
    assert "draw the same characters differently" in said


def test_words_that_are_neither_preset_nor_run(tmp_path, capsys):
    said = one_line(["repaired", "repairde"], capsys)
    assert (
        "'repairde' is no folder of a finished run, and no preset (" in said and "repaired" in said
    )
    assert "one recipe" in one_line(["repaired", "repaired"], capsys)
    assert "unknown key 'lr'" in one_line(["repaired", "repaired,lr=1"], capsys)
    assert "--seeds needs" in one_line(["repaired", "repaired,l1=1", "--seeds", "0"], capsys)


def test_a_preset_is_changed_for_one_side_or_for_both():
    one = compare.side("repaired,lambda_adv=0.3,gan=hinge", {"epochs": 2})
    assert one.recipe == Recipe(lambda_adv=0.3, gan="hinge", epochs=2)
    assert one.name == "repaired, gan=hinge, lambda_adv=0.3, epochs=2"


def test_a_run_is_used_as_it_is_and_its_recipe_where_it_is_changed(tmp_path):
    folder = left(tmp_path / "run", seed=5, recipe={"lambda_adv": 0.5})
    one = compare.side(str(folder), {})
    assert one.run is not None and one.recipe.lambda_adv == 0.5
    assert compare.trained(one, 5, tmp_path / "unused") is one.run
    assert compare.side(str(folder), {"epochs": 2}).run is None
    other = compare.side("repaired", {})
    assert compare.seeds_of(None, 2, (one, other)) == [5, 6]
    assert compare.seeds_of(1, 2, (one, other)) == [1, 2]


def test_a_folder_of_another_recipe_is_not_taken_for_this_one(tmp_path):
    folder = left(tmp_path / "run", recipe={"lambda_adv": 0.5})
    with pytest.raises(ValueError, match="another recipe or seed"):
        compare.trained(compare.side("repaired", {}), 0, folder)
    assert json.loads((folder / "recipe.json").read_text())["lambda_adv"] == 0.5
