"""What the reader reads, and the shares and intervals that are made of it."""

import importlib.util
import sys

import numpy as np
import pytest
import torch

from unstuck.cases.zi2zi import legibility
from unstuck.cases.zi2zi.legibility import Legibility, subset, wilson
from unstuck.data.package import PackageError, cache

package = cache() / f"{legibility.PACKAGE.name}-{legibility.PACKAGE.version}"
needs_reader = pytest.mark.skipif(
    not package.is_dir() or importlib.util.find_spec("onnxruntime") is None,
    reason="onnxruntime or the recognition network is not there",
)


def bools(text):
    return np.array([letter == "1" for letter in text])


def test_the_ratio_is_of_shares():
    found = Legibility(bools("1110100000"), bools("1111111100"), 1.0)
    assert found.ratio == pytest.approx(0.5)
    low, high = found.interval()
    assert 0 < low < 0.5 < high < 1
    assert found.interval() == (low, high)


def test_the_interval_narrows_with_characters_and_knows_pairs():
    few = Legibility(bools("1110100000"), bools("1111111100"), 1.0)
    many = Legibility(np.tile(few.drawn, 40), np.tile(few.real, 40), 1.0)
    (a, b), (c, d) = few.interval(), many.interval()
    assert d - c < (b - a) / 3
    alike = Legibility(few.drawn, few.drawn, 1.0)
    assert alike.interval() == (1.0, 1.0)  # the same characters: no doubt about the ratio


def test_nothing_read_of_the_real_ones_is_no_ratio():
    found = Legibility(bools("11"), bools("00"), 1.0)
    assert found.ratio == 0
    assert found.interval() == (0, 0)


def test_wilson_is_the_closed_form():
    z, n, p = 1.959964, 10, 0.8
    half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    assert wilson(bools("1111111100")) == pytest.approx((middle - half, middle + half), abs=1e-5)


def test_the_subset_is_seeded_and_of_known_characters():
    known, characters = "abcdefgh", "a1b2c3d4e5f6g7h8"
    rows = subset(known, characters, 4, 0)
    assert rows == subset(known, characters, 4, 0) != subset(known, characters, 4, 1)
    assert len(rows) == 4 and all(characters[row] in known for row in rows)
    assert subset(known, characters, 100, 0) == list(range(0, 16, 2))


def test_without_onnxruntime_one_line_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(PackageError, match="pip install onnxruntime"):
        legibility.Reader()


def test_as_many_pictures_as_characters_are_needed():
    with pytest.raises(ValueError, match="3 characters, 2 drawn, 2 real"):
        legibility.legibility(torch.ones(2, 1, 64, 64), torch.ones(2, 1, 64, 64), "abc")


def lettered(text):
    """Pictures (n, 1, 64, 64) of letters in the font that matplotlib carries."""
    from matplotlib import font_manager
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), 48)
    pictures = []
    for letter in text:
        picture = Image.new("L", (64, 64), 255)
        ImageDraw.Draw(picture).text((32, 32), letter, font=font, fill=0, anchor="mm")
        pictures.append(np.asarray(picture, dtype=np.float32))
    return torch.from_numpy(np.stack(pictures))[:, None] / 127.5 - 1


@needs_reader
def test_letters_are_read_and_noise_is_not():
    text = "ABEFGHKMNPRTZ23456789"
    real = lettered(text)
    noise = torch.rand(real.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    found = legibility.legibility(real, noise, text)
    assert found.drawn.mean() >= 0.8
    assert found.real.mean() <= 0.1
    assert 0 < found.milliseconds < 1000


@needs_reader
def test_unknown_characters_alone_are_said():
    pictures = torch.ones(2, 1, 64, 64)
    with pytest.raises(ValueError, match="knows none"):
        legibility.legibility(pictures, pictures, "\u4dff\u4dfe")
