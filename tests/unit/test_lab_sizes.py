"""Sizes as people write them, and a clear line for what is none."""

import pytest

from unstuck.lab.sizes import bytes_of


@pytest.mark.parametrize(
    ("text", "size"),
    [("15GB", 15e9), ("80gb", 80e9), ("0.5 GiB", 2**29), ("8000MB", 8e9), ("7", 7), ("1T", 1e12)],
)
def test_a_size_is_understood(text, size):
    assert bytes_of(text) == size


@pytest.mark.parametrize(
    "text", ["", "GB", "15 apples", "-3GB", "0GB", "15ib", "1e9", "nan", "inf GB", "9" * 5000]
)
def test_what_is_no_size_is_refused_in_one_line(text):
    with pytest.raises(ValueError, match="write it as 15GB") as told:
        bytes_of(text)
    assert len(str(told.value)) < 120
