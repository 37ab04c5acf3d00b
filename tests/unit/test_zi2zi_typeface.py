"""Fonts: opened with suspicion, asked what they draw, and drawn where they should be."""

import struct
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from fontTools.ttLib import TTCollection, TTFont
from zi2zi_fonts import boxes, font

from unstuck.cases.zi2zi import packages, typeface
from unstuck.cases.zi2zi.sample import SHEETS
from unstuck.cases.zi2zi.typeface import Layout, Typeface, centred, drawn, fitted, moved
from unstuck.data.package import PackageError

LATIN = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


def middle(picture: np.ndarray) -> tuple[float, float]:
    """Of the ink's box, px to the right and down."""
    rows, columns = (picture < 255).any(1).nonzero()[0], (picture < 255).any(0).nonzero()[0]
    return (columns[0] + columns[-1]) / 2, (rows[0] + rows[-1]) / 2


def test_a_character_is_there_where_the_font_claims_and_draws_it(tmp_path):
    face = Typeface(font(tmp_path / "a.ttf", boxes("永字") | {"八": []}))
    assert face.name == "Boxes Regular"
    assert [face.has(char) for char in "永八法"] == [True, False, False]
    assert face.missing("永八法字") == (["法"], ["八"])


def test_a_box_is_drawn_in_the_middle_and_shifted(tmp_path):
    face = Typeface(font(tmp_path / "a.ttf", {"一": [(100, 0, 600, 250)]}))
    plain, shifted = (
        drawn(face, "一", layout)[0] for layout in (Layout(64, 40), Layout(64, 40, 3, -5))
    )
    rows, columns = (plain < 128).any(1).sum(), (plain < 128).any(0).sum()
    assert (rows, columns) == (10, 20)  # a quarter and a half of the em
    assert plain.dtype == np.uint8
    assert (plain.min(), plain.max(), plain[0, 0]) == (0, 255, 255)
    assert middle(plain) == (31.5, 31.5)
    assert middle(shifted) == (34.5, 26.5)


def test_characters_keep_their_places_beside_each_other(tmp_path):
    """A low, a high and a middle box: each is where the font has it, all together in the middle."""
    glyphs = {"_": [(0, 0, 500, 125)], "^": [(250, 625, 750, 750)], "-": [(500, 250, 1000, 500)]}
    face = Typeface(font(tmp_path / "a.ttf", glyphs))
    found = typeface.middle(face, "_^-", 40)
    assert found == pytest.approx((20, -40 * (62.5 + 687.5 + 375) / 3000), abs=0.5)
    low, high, beside = drawn(face, "_^-", Layout(64, 40, middle=found))
    assert np.subtract(middle(low), middle(high)) == pytest.approx((-10, 25), abs=1)
    assert np.subtract(middle(beside), middle(high)) == pytest.approx((10, 12.5), abs=1)
    mean = np.mean([middle(picture) for picture in (low, high, beside)], axis=0)
    assert mean == pytest.approx((31.5, 31.5), abs=1)
    shifted = drawn(face, "_", Layout(64, 40, 3, -5, found))[0]
    assert np.subtract(middle(shifted), middle(low)).tolist() == [3, -5]
    assert (drawn(face, "_", Layout(64, 40, 60, 0, found)) == 255).all()


def test_what_leaves_the_canvas_is_cut_off(tmp_path):
    face = Typeface(font(tmp_path / "a.ttf", {"大": [(-400, -900, 1500, 1800)], "一": []}))
    picture, blank = drawn(face, "大一", Layout(64, 60))
    assert (picture == 0).all()
    assert (blank == 255).all()
    half = drawn(face, "大", Layout(64, 60, 48, 0))[0]
    assert half[32, 63] == 0
    assert drawn(Typeface(LATIN), "A", Layout(16, 200)).shape == (1, 16, 16)


def test_the_size_is_fitted_to_the_canvas(tmp_path):
    whole = {char: [(0, -120, 1000, 880)] for char in "田国回"}
    face = Typeface(font(tmp_path / "a.ttf", whole))
    assert fitted(face, "田国回", 64) == 56
    assert fitted(face, "田国回", 256) == 224
    half = Typeface(font(tmp_path / "b.ttf", {"田": [(0, 0, 500, 500)]}))
    assert fitted(half, "田", 64) == 112
    pictures = drawn(face, "田国回", Layout(64, 56))
    assert (pictures[:, 4:-4, 4:-4] < 255).any()
    assert (pictures[:, :4] == 255).all()
    assert (pictures[:, :, :4] == 255).all()


def test_one_odd_character_in_a_hundred_does_not_decide_the_size(tmp_path):
    chars = [chr(0x4E00 + i) for i in range(200)]
    usual = {char: [(0, 0, 1000, 880)] for char in chars}
    odd = usual | {chars[3]: [(0, 0, 4000, 880)]}
    sizes = [fitted(Typeface(font(tmp_path / "a.ttf", g)), chars, 64) for g in (usual, odd)]
    assert sizes[0] == sizes[1]


def test_moved_pictures_have_paper_where_they_were():
    pictures = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    there = moved(pictures, 1, -1)
    assert there[0].tolist() == [[255, 3, 4], [255, 6, 7], [255, 255, 255]]
    assert (moved(pictures, 3, 0) == 255).all()
    assert moved(pictures, 0, 0) is pictures
    with pytest.raises(ValueError, match="leaves the canvas"):
        moved(pictures, 0, 4)


def test_paper_that_is_not_white_is_no_ink():
    page, picture = np.full((40, 40), 230, np.uint8), np.full((20, 20), 255, np.uint8)
    page[2:6, 30:38] = 10
    centred(page, picture, ink=128)
    assert (picture == 10).sum() == 32
    assert middle(picture) == (9.5, 9.5)


def test_a_collection_has_faces_by_number(tmp_path):
    fonts = [
        font(tmp_path / f"{n}.ttf", boxes(c), name=n) for n, c in (("one", "一"), ("two", "二"))
    ]
    collection = TTCollection()
    collection.fonts = [TTFont(file) for file in fonts]
    collection.save(tmp_path / "both.ttc")
    assert typeface.typeface(f"{tmp_path}/both.ttc").name == "one Regular"
    second = typeface.typeface(f"{tmp_path}/both.ttc#1")
    assert second.name == "two Regular"
    assert second.missing("一二") == (["一"], [])
    with pytest.raises(ValueError, match="is damaged or no font"):
        typeface.typeface(f"{tmp_path}/both.ttc#2")


def test_a_packed_font_is_opened(tmp_path):
    with TTFont(font(tmp_path / "a.ttf", boxes("永字"))) as plain:
        plain.flavor = "woff2"
        plain.save(tmp_path / "a.woff2")
    packed, whole = Typeface(tmp_path / "a.woff2"), Typeface(tmp_path / "a.ttf")
    layout = Layout(32, 28)
    assert (drawn(packed, "永字", layout) == drawn(whole, "永字", layout)).all()


def said(name: object) -> str:
    with pytest.raises(ValueError) as error:
        typeface.typeface(str(name))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_files_that_are_no_fonts_are_told_in_one_line(tmp_path):
    file = tmp_path / "a.ttf"
    data = font(file, boxes("永字八法")).read_bytes()
    for wrong in (b"", b"no font at all\n" * 40, data[:100], data[: len(data) // 2], data[:-40]):
        file.write_bytes(wrong)
        assert "a.ttf is damaged or no font: " in said(file)
    assert said(tmp_path / "b.ttf") == f"no font file {tmp_path / 'b.ttf'}"
    assert said("nowhere/b").startswith("no font file")
    assert said(tmp_path).startswith("no font file")


def test_any_byte_may_be_wrong(tmp_path):
    file = tmp_path / "a.ttf"
    data = font(file, boxes("永字八法")).read_bytes()
    lots = np.random.default_rng(0)
    opened = 0
    for _ in range(150):
        wrong = bytearray(data)
        for place in lots.integers(0, len(data), 4):
            wrong[place] = lots.integers(256)
        file.write_bytes(bytes(wrong))
        try:
            face = Typeface(file)
            drawn(face, "永字八法", Layout(32, 28))
            opened += 1
        except ValueError as error:
            assert "damaged" in str(error)
    assert 0 < opened < 150


def test_a_font_that_unpacks_to_too_much_is_not_read(tmp_path, monkeypatch):
    with TTFont(font(tmp_path / "a.ttf", boxes("永字"))) as plain:
        plain.flavor = "woff2"
        plain.save(tmp_path / "a.woff2")
    data = bytearray((tmp_path / "a.woff2").read_bytes())
    data[16:20] = struct.pack(">I", 3_000_000_000)  # bytes of the unpacked font, it says
    (tmp_path / "b.woff2").write_bytes(bytes(data))
    Typeface(tmp_path / "b.woff2")  # what it says is not believed: what is there is unpacked
    monkeypatch.setattr(typeface, "LARGEST_PACKED", 100)
    assert "fonts up to 100 are read" in said(tmp_path / "a.woff2")
    Typeface(tmp_path / "a.ttf")
    monkeypatch.setattr(typeface, "LARGEST", 100)
    assert "fonts up to 100 are read" in said(tmp_path / "a.ttf")


def test_an_unknown_name_lists_the_known_ones():
    assert "nor one of noto-sans-sc, " in said("noto-sans")


def test_names_of_packages_are_complete():
    for name, entry in packages.NAMES.items():
        assert len(entry.package.sha256) == 64, name
        assert entry.licence in ("OFL-1.1", "Apache-2.0", "OGDL-TW-1.0", "public domain")
        assert not entry.file.startswith("/")
    assert set(SHEETS) <= set(packages.NAMES)


def test_a_package_that_cannot_be_fetched_is_told_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("UNSTUCK_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        PackageError, match=r"fonts-smiley-sans 1.1.1-1 .*cannot be fetched"
    ) as error:
        typeface.typeface("smiley-sans")
    assert "\n" not in str(error.value)


def test_a_package_without_its_file_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("UNSTUCK_CACHE", str(tmp_path))
    (tmp_path / "fonts-smiley-sans-1.1.1-1").mkdir()
    with pytest.raises(PackageError, match=r"has no truetype/smiley-sans/SmileySans-Oblique.ttf"):
        typeface.typeface("smiley-sans")


@pytest.mark.parametrize(
    ("layout", "what"),
    [
        ((4, 4), "canvas of 4 px"),
        ((64, 0), "characters of 0 px"),
        ((5000, 64), "canvas of 5000 px"),
        ((64, 56, 65, 0), r"shift \(65, 0\) px leaves"),
    ],
)
def test_layouts_that_cannot_be_drawn(layout, what):
    with pytest.raises(ValueError, match=what):
        Layout(*layout)
