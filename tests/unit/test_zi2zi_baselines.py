"""Fonts and a plain network to be compared with, on letters of the fonts matplotlib carries."""

import importlib.util
from pathlib import Path

import matplotlib
import pytest
import torch

from unstuck.cases.zi2zi import baselines, checkpoint, evaluate
from unstuck.cases.zi2zi.held_out import read
from unstuck.cases.zi2zi.legibility import PACKAGE
from unstuck.cases.zi2zi.metrics import l1
from unstuck.cases.zi2zi.recipe import Recipe
from unstuck.cases.zi2zi.train import train
from unstuck.data import mobilenet
from unstuck.data.package import cache

FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
SANS, BOLD = FONTS / "DejaVuSans.ttf", FONTS / "DejaVuSans-Bold.ttf"
SERIF, DISPLAY = FONTS / "DejaVuSerif.ttf", FONTS / "DejaVuSansDisplay.ttf"
SMALL = {"epochs": 1, "ngf": 4, "ndf": 4, "held_out": 12, "batch_size": 16}
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A short training from upright to bold letters."""
    folder = tmp_path_factory.mktemp("bold")
    charset = folder / "letters.txt"
    charset.write_text(LETTERS)
    fonts = {"source": str(SANS), "target": str(BOLD), "charset": str(charset)}
    train(Recipe(**fonts, **SMALL), 0, folder / "run")
    return read(folder / "run")


def test_the_nearest_font_is_drawn_for_held_out_letters(run):
    found = baselines.nearest(run, [str(SERIF), str(SANS), str(BOLD), str(DISPLAY)])
    chosen, far = found.chosen[0]
    assert chosen == str(SANS)
    assert found.pictures.shape == run.target.shape
    here = l1(found.pictures, run.target).mean()
    assert here == pytest.approx(far, rel=0.5)
    other = baselines.nearest(run, [str(SERIF)])
    assert here < l1(other.pictures, run.target).mean()
    assert "is the target itself" in found.left_out[str(BOLD)]
    assert "lacks" in found.left_out[str(DISPLAY)]


def test_where_no_font_serves_one_line_says_why(run):
    with pytest.raises(ValueError, match=r"DejaVuSans-Bold.ttf is the target itself") as error:
        baselines.nearest(run, [str(BOLD)])
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="--font FILE"):
        baselines.nearest(run, [])


def test_another_weight_of_the_target_is_taken_only_when_asked_for(run, monkeypatch):
    monkeypatch.setattr(baselines, "available", lambda: [str(SANS), str(SERIF)])
    found = baselines.nearest(run)
    assert found.chosen[0][0] == str(SERIF)
    assert "of the target's family" in found.left_out[str(SANS)]
    assert baselines.nearest(run, [str(SANS), str(SERIF)]).chosen[0][0] == str(SANS)


def test_nothing_but_l1_is_left_of_a_recipe():
    recipe = Recipe(perceptual=0.1, feature_matching=1.0, r1=1.0, ngf=8, epochs=3)
    plain = baselines.l1_alone(recipe)
    assert plain.l1 == recipe.l1 and plain.ngf == 8 and plain.epochs == 3
    terms = ("const", "category", "lambda_adv", "feature_matching", "perceptual", "r1", "r2")
    assert [getattr(plain, name) for name in terms] == [0] * len(terms)
    assert Recipe(**plain.flat()) == plain
    assert baselines.l1_alone(plain) == plain


def test_l1_alone_is_trained_once_in_the_runs_folder(run):
    first = baselines.l1_trained(run)
    assert first.folder == run.folder / "l1-alone"
    assert first.characters == run.characters and torch.equal(first.target, run.target)
    assert not torch.equal(first.drawn, run.drawn)
    steps = [checkpoint.read(r.folder / checkpoint.STATE)["game"]["step"] for r in (first, run)]
    assert steps[0] == steps[1]
    before = (first.folder / checkpoint.GENERATOR).stat().st_mtime_ns
    again = baselines.l1_trained(run)
    assert torch.equal(again.drawn, first.drawn)
    assert (first.folder / checkpoint.GENERATOR).stat().st_mtime_ns == before


def test_l1_alone_is_its_own_training(run):
    """With no other term the discriminator changes nothing: other widths of it, same pictures."""
    folder = run.folder.parent / "wider"
    recipe = baselines.l1_alone(run.recipe.model_copy(update={"ndf": 4, "lr_d": 0.5}))
    train(recipe, run.seed, folder)
    assert torch.equal(read(folder).drawn, baselines.l1_trained(run).drawn)


def test_a_folder_of_another_budget_is_said(run):
    longer = run.recipe.model_copy(update={"epochs": 2})
    with pytest.raises(ValueError, match="another recipe or seed"):
        baselines.l1_trained(type(run)(**{**vars(run), "recipe": longer}))


def test_only_fonts_that_are_in_the_cache_are_offered(tmp_path, monkeypatch):
    monkeypatch.setenv("UNSTUCK_CACHE", str(tmp_path))
    assert baselines.available() == []
    name, font = next(iter(baselines.NAMES.items()))
    (tmp_path / f"{font.package.name}-{font.package.version}").mkdir()
    assert name in baselines.available()


@pytest.mark.skipif(
    not all((cache() / f"{p.name}-{p.version}").is_dir() for p in (mobilenet.PACKAGE, PACKAGE))
    or importlib.util.find_spec("onnxruntime") is None,
    reason="the weights of MobileNetV2 or the recognition network are not there",
)
def test_all_baselines_stand_in_the_runs_table(run, capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    words = [str(run.folder), "--baselines", "--ocr", "10", "--font", str(SANS)]
    assert evaluate.main(words) == 0
    printed = capsys.readouterr()
    rows = [[cell.strip() for cell in line.split("│")] for line in printed.out.splitlines()]
    found = {row[1]: row for row in rows if len(row) > 3 and row[2] == "1"}
    assert list(found)[1:] == ["copy source", "nearest font", "L1 alone"]
    near, copy = (float(found[name][3]) for name in ("nearest font", "copy source"))
    assert near < 1.1 * copy  # L1: what is nearest in training is about as near held out
    title = "12 held-out characters, 64 px, DejaVuSans.ttf -> DejaVuSans-Bold.ttf"
    assert title in printed.out
    assert "legibility: 10 characters" in printed.out
    assert f"nearest font of style 0: {SANS}" in printed.err
