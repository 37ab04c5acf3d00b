"""Characters drawn by a trained run: which, where to, and what is said when it cannot."""

import numpy as np
import pytest
from PIL import Image

from unstuck.cases.zi2zi import infer, sample
from unstuck.cases.zi2zi.train import train

CHARS = sample.read()[0][:5]
SMALL = {"ngf": 4, "ndf": 4, "epochs": 1, "train_characters": 16, "held_out": 4, "perceptual": 0.0}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    train(SMALL, 0, folder)
    return folder


def test_a_file_for_each_character_and_those_there_are_kept(run, tmp_path, capsys):
    words = [str(run), "--text", f"{CHARS} {CHARS}\u9f98", "--out", str(tmp_path / "a")]
    assert infer.main(words) == 0
    said = capsys.readouterr()
    assert "5 characters drawn, 0 were there" in said.out and "1 of 6" in said.err
    files = sorted(f.name for f in (tmp_path / "a").glob("*.png"))
    assert files == sorted(f"U+{ord(c):04X}.png" for c in CHARS)
    (tmp_path / "a" / files[0]).unlink()
    assert infer.main(words) == 0
    assert "1 characters drawn, 4 were there" in capsys.readouterr().out


def test_batches_draw_what_the_generator_draws_at_once(run, tmp_path):
    own = infer.hand(run)
    found = infer.sources(own.recipe, CHARS)
    infer.infer(own, found, tmp_path / "a", size=2)
    whole = own.draw(found.pictures)
    for char, picture in zip(CHARS, whole, strict=True):
        with Image.open(infer.file_of(tmp_path / "a", char)) as there:
            gap = np.abs(np.asarray(there).astype(int) - picture)
        assert gap.max() <= 1  # sums of other batches round otherwise
    assert whole.std() > 0


def test_a_sheet_alone_writes_no_folder(run, tmp_path):
    assert infer.main([str(run), "--text", CHARS, "--sheet", str(tmp_path / "s.png")]) == 0
    with Image.open(tmp_path / "s.png") as page:
        assert page.mode == "L" and min(page.size) > sample.SIDE
    assert not (run / "drawn").exists()


def test_characters_of_another_run_are_not_mixed_in(run, tmp_path, capsys):
    own = infer.hand(run)
    found = infer.sources(own.recipe, CHARS)
    infer.infer(own, found, tmp_path)
    train({**SMALL, "ngf": 5}, 0, tmp_path / "other")
    again = infer.hand(tmp_path / "other")
    with pytest.raises(ValueError, match="another run, style or source"):
        infer.infer(again, found, tmp_path)
    assert infer.infer(again, found, tmp_path, again=True) == len(CHARS)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--text", "\u9f98"], "trained on the sample, which has none of"),
        (["--text", " \n"], "no characters"),
        ([], "--text TEXT or --charset SET"),
        (["--text", "a", "--charset", "kana"], "--text TEXT or --charset SET"),
        (["--text", CHARS, "--style", "1"], "no style 1"),
        (["--text", CHARS, "--style", "-1"], "no style -1"),
        (["--text", CHARS, "--batch", "0"], "--batch"),
        (["--charset", "klingon"], "no charset"),
        (["--text", CHARS, "--source", "nowhere.ttf"], "no font file"),
    ],
)
def test_one_line_says_what_is_wrong(run, words, said, capsys):
    assert infer.main([str(run), *words]) == 2
    found = capsys.readouterr().err
    assert said in found and found.count("\n") == 1


def test_no_run_and_a_truncated_one_are_said(run, tmp_path, capsys):
    assert infer.main([str(tmp_path), "--text", CHARS]) == 2
    assert "no finished zi2zi run" in capsys.readouterr().err
    for file in ("recipe.json", "metrics.json", "generator.pt"):
        data = (run / file).read_bytes()
        (tmp_path / file).write_bytes(data[: len(data) // 2] if file.endswith(".pt") else data)
    assert infer.main([str(tmp_path), "--text", CHARS]) == 2
    said = capsys.readouterr().err
    assert "damaged or no checkpoint" in said and said.count("\n") == 1
