"""Accidents around a watched training, one of each kind; `scripts/chaos.py` does it for hours."""

import chaos
import pytest


@pytest.mark.parametrize("accident", chaos.ACCIDENTS)
def test_an_accident_makes_no_difference_to_the_training(accident, tmp_path):
    assert chaos.suffered(accident, 1, tmp_path) == []
