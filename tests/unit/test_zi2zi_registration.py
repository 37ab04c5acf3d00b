"""Offsets of targets against sources: found between fonts, and not where there are none."""

import pytest
import torch
from torch import Tensor

from unstuck.cases.zi2zi.glyphs import pictures
from unstuck.cases.zi2zi.registration import FAR, registration, warning
from unstuck.cases.zi2zi.sample import read

LIES = 0.35  # px: the sample's fonts lie that far off each other, as whole pixels left them


def sample(count: int = 120) -> tuple[Tensor, Tensor]:
    _, source, target = read()
    return pictures(source[:count]), pictures(target[:count])


def moved(x: Tensor, right: int, down: int) -> Tensor:
    return x.roll((down, right), (2, 3))


def test_pairs_of_two_fonts_that_lie_on_each_other_are_not_warned_of():
    found = registration(*sample())
    assert found.length == pytest.approx(LIES, abs=0.1) and LIES < 0.75 * FAR
    assert found.confidence > 0.85
    assert warning(found) is None


@pytest.mark.parametrize(("right", "down"), [(2, 0), (0, -2), (-3, 2), (1, 0)])
def test_an_offset_between_two_fonts_is_found(right, down):
    source, target = sample()
    found = registration(source, moved(target, right, down))
    here = registration(source, target)
    assert found.x - here.x == pytest.approx(right, abs=0.1)
    assert found.y - here.y == pytest.approx(down, abs=0.1)
    said = warning(found)
    assert said is not None
    assert "\n" not in said
    if right:
        assert f"target_x={-right:+d}" in said
    assert ("target_y" in said) == bool(down)


def test_inverted_pairs_have_the_opposite_offset():
    source, target = sample()
    found = registration(moved(target, 2, 1), source)
    here = registration(source, target)
    assert (found.x + here.x, found.y + here.y) == pytest.approx((-2, -1), abs=0.1)


def test_pairs_that_lie_here_and_there_are_not_called_shifted():
    source, target = sample()
    lots = torch.Generator().manual_seed(0)
    each = torch.randint(-8, 9, (len(target), 2), generator=lots).tolist()
    scattered = torch.stack(
        [moved(one[None], 6 + x, y)[0] for one, (x, y) in zip(target, each, strict=True)]
    )
    found = registration(source, scattered)
    assert found.length > FAR
    assert found.confidence < 0.4
    assert found.spread > 3
    assert warning(found) is None


def test_a_speck_far_off_is_no_end_of_a_character():
    source, target = sample()
    specked = moved(target, 0, 0).clone()
    specked[:, :, 1, 1] = 0.0
    assert registration(source, specked).length < 0.5
    assert registration(source, moved(specked, 0, 2)).y == pytest.approx(2, abs=0.5)


def test_a_canvas_twice_as_large_has_twice_the_offset():
    source, target = (torch.nn.functional.interpolate(x, scale_factor=2.0) for x in sample(40))
    found = registration(source, moved(target, 4, 0))
    assert found.x - registration(source, target).x == pytest.approx(4, abs=0.2)
    assert warning(found) is not None
    assert warning(registration(source, moved(target, -1, 0))) is None


def test_blank_pictures_have_no_place():
    paper = torch.ones(3, 1, 64, 64)
    found = registration(paper, paper)
    assert (found.pairs, found.length, found.confidence) == (0, 0.0, 0.0)
    assert warning(found) is None


def test_pictures_of_other_shapes_are_no_pairs():
    source, target = sample(4)
    with pytest.raises(ValueError, match="no pairs of pictures"):
        registration(source, target[:, :, :32, :32])
