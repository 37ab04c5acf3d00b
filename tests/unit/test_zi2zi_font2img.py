"""Pairs as pictures, from fonts and from scans, and what bad input is told."""

import json
import os

import numpy as np
import pytest
from PIL import Image, ImageDraw
from zi2zi_fonts import boxes, font

from unstuck.cases.zi2zi import font2img
from unstuck.cases.zi2zi.glyphs import load
from unstuck.cases.zi2zi.recipe import Recipe

CHARS = "abcdefghij"


@pytest.fixture
def fonts(tmp_path):
    """A source, a target that lacks i and has a blank j, and a second target."""
    lacking = {c: b for c, b in boxes(CHARS, 1).items() if c != "i"} | {"j": []}
    return (
        font(tmp_path / "a.ttf", boxes(CHARS), "A"),
        font(tmp_path / "b.ttf", lacking, "B"),
        font(tmp_path / "c.ttf", boxes(CHARS, 2), "C"),
    )


def ran(*words):
    return font2img.main([str(word) for word in words])


def charset(tmp_path, text=CHARS):
    file = tmp_path / "charset.txt"
    file.write_text(text, encoding="utf-8")
    return file


def test_pairs_are_written_and_what_is_left_out_is_said(fonts, tmp_path, capsys):
    a, b, c = fonts
    out = tmp_path / "pairs"
    words = ("--source", a, "--target", b, "--target", c, "--charset", charset(tmp_path))
    assert ran(*words, "--out", out, "--sheet") == 0
    said = capsys.readouterr().out
    assert "18 pairs" in said
    assert "absent from B Regular: 1 (i)" in said and "blank in B Regular: 1 (j)" in said
    listed = json.loads((out / "pairs.json").read_text())
    assert len(listed["pairs"]) == 18 and {p["style"] for p in listed["pairs"]} == {0, 1}
    with Image.open(out / "0_U+0061.png") as picture:
        assert picture.size == (128, 64)
        target, source = np.split(np.asarray(picture), 2, axis=1)
    both = os.pathsep.join((str(b), str(c)))
    recipe = Recipe(source=str(a), target=both, charset=str(charset(tmp_path)), held_out=1)
    split = load(recipe, 0)
    known = {ch: split.train.source[i, 0] for i, ch in enumerate(split.train.characters)}
    char = next(iter(known))
    with Image.open(out / f"1_U+{ord(char):04X}.png") as picture:
        drawn = np.asarray(picture)[:, 64:]
    assert np.array_equal(drawn, ((known[char].numpy() + 1) * 127.5).round())
    assert target.min() < 64 and source.min() < 64 and not np.array_equal(target, source)
    assert (out / "sheet.png").is_file()


def test_scans_are_paired_by_their_names(fonts, tmp_path, capsys):
    scans = tmp_path / "scans"
    scans.mkdir()
    for name, box in (("a.png", (10, 20, 60, 90)), ("U+0062.jpg", (30, 30, 80, 60))):
        page = Image.new("L", (100, 100), 240)
        ImageDraw.Draw(page).rectangle(box, fill=20)
        page.save(scans / name)
    (scans / "notes.txt").write_text("no picture")
    assert ran("--source", fonts[0], "--images", scans, "--out", tmp_path / "pairs") == 0
    assert "2 pairs" in capsys.readouterr().out
    with Image.open(tmp_path / "pairs" / "0_U+0061.png") as picture:
        rows, columns = (np.asarray(picture)[:, :64] < 128).nonzero()
    assert abs((rows.min() + rows.max()) / 2 - 31.5) <= 1
    assert abs((columns.min() + columns.max()) / 2 - 31.5) <= 1


def test_shifted_targets_are_told_of(fonts, tmp_path, capsys):
    words = ("--source", fonts[0], "--target", fonts[0], "--charset", charset(tmp_path))
    assert ran(*words, "--target-x", 3, "--out", tmp_path / "pairs") == 0
    assert "target_x=-3" in capsys.readouterr().out


def test_bad_input_is_said_in_one_line(fonts, tmp_path, capsys):
    a, b, _ = fonts
    out = ("--out", tmp_path / "pairs")
    broken = tmp_path / "broken.ttf"
    broken.write_bytes(a.read_bytes()[:300])
    foreign = tmp_path / "foreign.txt"
    foreign.write_bytes("永和九年歲在癸丑".encode("big5"))
    empty = tmp_path / "empty"
    empty.mkdir()
    for words, said in (
        (("--source", a, *out), "give --target or --images"),
        (("--source", a, "--target", tmp_path / "no.ttf", *out), "no font file"),
        (("--source", a, "--target", "no-font", *out), "no font 'no-font'"),
        (("--source", a, "--target", broken, *out), "damaged or no font"),
        (("--source", a, "--target", b, *out), "has 0 of the 3,755 characters"),
        (("--source", a, "--target", b, "--charset", foreign, *out), "is not UTF-8"),
        (("--source", a, "--images", empty, *out), "no picture that is named"),
        (("--source", a, "--images", tmp_path / "no", *out), "no folder"),
    ):
        assert ran(*words) == 2, words
        line = capsys.readouterr().err
        assert said in line and line.count("\n") == 1, line
    assert not (tmp_path / "pairs").exists()
