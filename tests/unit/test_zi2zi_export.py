"""Drawn characters become a font file that other programs open and draw alike."""

import numpy as np
import pytest
import torch
from fontTools.ttLib import TTFont
from PIL import Image, ImageDraw, ImageFont
from zi2zi_fonts import font

from unstuck.cases.zi2zi import export_font, sample, tracing
from unstuck.cases.zi2zi.infer import Hand, sources
from unstuck.cases.zi2zi.recipe import Recipe

COUNT, FAR = 12, 0.03  # characters; L1 of the font's drawings (.017 and .022 of 60 were measured)


class Blank(torch.nn.Module):
    """Draws paper."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, source, styles):
        return torch.ones_like(source)


class Same(Blank):
    """Draws what it is shown."""

    def forward(self, source, styles):
        return source


def rendered(file, chars, size=sample.SIDE, em=sample.CHAR_SIZE):
    """Characters of a font, the middle of the em in the middle of the picture."""
    font, middle = ImageFont.truetype(str(file), em), (export_font.ASCENT + export_font.DESCENT) / 2
    found = []
    for char in chars:
        page = Image.new("L", (size, size), 255)
        place = (size - em) / 2, size / 2 + middle * em / export_font.EM
        ImageDraw.Draw(page).text(place, char, fill=0, font=font, anchor="ls")
        found.append(np.asarray(page))
    return np.stack(found)


def test_characters_stand_where_the_source_font_has_them(tmp_path):
    glyphs = {"_": [(0, 0, 500, 125)], "^": [(250, 625, 750, 750)], "-": [(500, 250, 1000, 500)]}
    source = font(tmp_path / "source.ttf", glyphs)
    recipe = Recipe(source=str(source), target=str(source), charset=str(chars_file(tmp_path)))
    found, file = sources(recipe, "_^-"), tmp_path / "a.ttf"
    assert not export_font.export(Hand(tmp_path, Same(), recipe, 0), found, "Mine", file)
    first, second = (ImageFont.truetype(str(one), 1000) for one in (source, file))
    for char in glyphs:
        there, here = (one.getbbox(char, anchor="ls") for one in (first, second))
        assert here == pytest.approx(there, abs=20)  # a picture's px has 18 units


def chars_file(tmp_path):
    file = tmp_path / "chars.txt"
    file.write_text("_^-")
    return file


def copied(tmp_path, ending, module=Same):
    """A font of the sample's own source pictures."""
    chars, recipe = sample.read()[0][:COUNT], Recipe()
    found, file = sources(recipe, chars), tmp_path / f"a{ending}"
    own = Hand(tmp_path, module(), recipe, 0)
    return found, file, export_font.export(own, found, "Mine Ä", file)


@pytest.mark.parametrize("ending", [".ttf", ".otf"])
def test_a_font_draws_what_was_traced(tmp_path, ending):
    found, file, blank = copied(tmp_path, ending)
    assert not blank and [f.name for f in tmp_path.iterdir()] == [file.name]
    far = np.abs(rendered(file, found.characters).astype(float) - found.pictures).mean() / 255
    print(f"{ending}: L1 {far:.4f}")
    assert far < FAR
    turned = np.roll(found.pictures, 1, 0)
    assert np.abs(rendered(file, found.characters).astype(float) - turned).mean() / 255 > 4 * FAR


@pytest.mark.parametrize("ending", [".ttf", ".otf"])
def test_tables_say_what_programs_ask(tmp_path, ending):
    found, file, _ = copied(tmp_path, ending)
    with TTFont(file) as font:
        cmap = font.getBestCmap()
        assert {chr(code) for code in cmap} == {*found.characters, " "}
        assert font["hmtx"][cmap[ord(found.characters[0])]][0] == font["head"].unitsPerEm == 1000
        assert font["hhea"].ascent == 880 and font["OS/2"].sTypoDescender == -120
        assert font["name"].getDebugName(1) == "Mine Ä"
        assert font["name"].getDebugName(6) == "Mine-Regular"
        assert ("glyf" in font) == (ending == ".ttf")


def test_holes_run_the_other_way_round():
    ring = np.full((64, 64), 255, np.uint8)
    ring[10:50, 10:50], ring[20:40, 20:40] = 0, 255
    lines = tracing.outlines(ring)
    areas = sorted(tracing.area(line.points) for line in lines)
    assert len(lines) == 2 and areas[0] * areas[1] < 0
    assert abs(sum(areas)) == pytest.approx(40 * 40 - 20 * 20, rel=0.02)
    corners = max(lines, key=lambda line: abs(tracing.area(line.points))).points
    assert corners.min() == pytest.approx(10, abs=0.3) and corners.max() == pytest.approx(
        50, abs=0.3
    )


def test_ink_at_the_edge_is_closed_and_specks_are_left_out():
    page = np.full((64, 64), 255, np.uint8)
    assert tracing.outlines(page) == []
    page[0, 0] = page[40, 40] = 0
    assert tracing.outlines(page) == []
    page[:, :8] = 0
    (line,) = tracing.outlines(page)
    assert abs(tracing.area(line.points)) == pytest.approx(64 * 8, rel=0.03)


def test_nothing_drawn_is_no_font(tmp_path):
    with pytest.raises(ValueError, match="draws nothing"):
        copied(tmp_path, ".ttf", Blank)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", "  ", "a\x00b", "a\nb", "x" * 41, "\u202egnp"])
def test_a_hostile_name_is_refused(name, tmp_path, capsys):
    words = [str(tmp_path), "--text", "a", "--out", str(tmp_path / "a.ttf"), "--name", name]
    assert export_font.main(words) == 2
    said = capsys.readouterr().err
    assert "--name" in said and said.count("\n") == 1


def test_markup_in_a_name_stays_text(tmp_path):
    assert export_font.family('<a href="x">&') == '<a href="x">&'
    found, file = sources(Recipe(), sample.read()[0][:2]), tmp_path / "b.otf"
    export_font.export(Hand(tmp_path, Same(), Recipe(), 0), found, '<a>&"(/', file)
    with TTFont(file) as font:
        assert font["name"].getDebugName(1) == '<a>&"(/'
        assert font["name"].getDebugName(6) == "a-Regular"


def test_another_ending_is_refused(tmp_path, capsys):
    assert export_font.main([str(tmp_path), "--text", "a", "--out", "a.woff"]) == 2
    assert "ends in .ttf or .otf" in capsys.readouterr().err
