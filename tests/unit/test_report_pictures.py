import base64
import io

import numpy as np
import pytest
from PIL import Image

from unstuck.report import pictures
from unstuck.report.pictures import Pictures, embedded, png


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (5, 7, 4)])
def test_an_array_comes_back_from_its_png_unchanged(shape):
    array = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    ((uri,),), left = embedded(Pictures(("only",), ((array,),)))
    mark, _, body = uri.partition(",")
    assert (mark, left) == ("data:image/png;base64", 0)
    with Image.open(io.BytesIO(base64.b64decode(body))) as image:
        assert np.array_equal(np.asarray(image), array)


def test_png_bytes_are_kept_as_they_are_and_a_gap_stays_a_gap():
    image = png(np.zeros((2, 2), np.uint8))
    (row,), _ = embedded(Pictures(("a", "b"), ((image, None),)))
    assert base64.b64decode(row[0].partition(",")[2]) == image
    assert row[1] == ""


@pytest.mark.parametrize(
    "broken",
    [
        b"<svg onload=alert(1)>",
        np.zeros((2, 2)),
        np.zeros((2, 2, 2), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((0, 3), np.uint8),
        np.zeros((1, 5000), np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(broken):
    with pytest.raises(ValueError, match="picture"):
        png(broken)


def test_rows_and_titles_must_fit():
    with pytest.raises(ValueError, match="1 pictures under 2 titles"):
        Pictures(("a", "b"), ((None,),))
    with pytest.raises(ValueError, match="1 row titles for 2 rows"):
        Pictures(("a",), ((None,), (None,)), ("x",))


def test_rows_beyond_the_size_limit_are_left_out_and_counted(monkeypatch):
    image = png(np.random.default_rng(0).integers(0, 256, (40, 40)).astype(np.uint8))
    monkeypatch.setattr(pictures, "MOST_BYTES", int(2.5 * len(image)))
    rows, left = embedded(Pictures(("a",), ((image,),) * 5))
    assert (len(rows), left) == (2, 3)
