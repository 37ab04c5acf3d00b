"""The flow that automata learn: against closed forms, and what every flow must keep."""

import numpy as np
import pytest

from unstuck.cases.nca.potential import domain, solved


def test_nothing_in_the_way_changes_nothing():
    flows = solved(np.zeros((24, 24), bool), np.zeros((24, 24)))
    assert np.abs(flows).max() < 1e-5


def test_flow_around_a_disc_is_that_of_a_doublet():
    """u = 1 - a^2 cos(2 t) / r^2 on an unbounded canvas (Batchelor 1967, 6.6)."""
    size, radius = 192, 12
    line = np.arange(size) + 0.5 - size / 2
    x, y = np.meshgrid(line, line)
    far = np.hypot(x, y)
    flows = solved(far < radius, np.zeros((size, size)))
    ring = (far > 1.5 * radius) & (far < 3 * radius)
    exact = -(radius**2) * (x**2 - y**2) / far**4
    error = ((flows[0, 0] - exact)[ring] ** 2).mean() / (exact[ring] ** 2).mean()
    assert error < 0.02
    assert np.corrcoef(flows[0, 2][ring], (x / far**2)[ring])[0, 1] > 0.98  # the potential


def test_a_channel_of_half_the_depth_is_crossed_at_the_same_potential():
    terrain = np.zeros((32, 32))
    terrain[:, 16:] = 0.5  # flow along x is the same left and right, so twice as fast right
    flows = solved(np.zeros((32, 32), bool), terrain)
    speed = 1 + flows[0, 0]
    middle = slice(12, 20)
    flux = (1 - terrain) * speed
    assert flux[middle, 4:28].std() / flux[middle, 4:28].mean() < 0.25
    assert speed[middle, 20].mean() > 1.2 > 0.9 > speed[middle, 11].mean()


def test_a_domain_is_the_same_everywhere_and_has_a_free_border():
    solid, terrain = domain((3, 0), 48)
    again, _ = domain((3, 0), 48)
    assert np.array_equal(solid, again) and 0.02 < solid.mean() < 0.7
    assert not solid[[0, -1]].any() and not solid[:, [0, -1]].any()
    assert np.abs(terrain).max() == pytest.approx(0.35)
    flows = solved(solid, terrain)
    assert np.isfinite(flows).all() and not flows[:, :, solid].any()


@pytest.mark.parametrize("bad", [1.0, np.nan])
def test_terrain_as_high_as_the_layer_is_refused(bad):
    terrain = np.zeros((16, 16))
    terrain[5, 5] = bad
    with pytest.raises(ValueError, match="numbers below 1"):
        solved(np.zeros((16, 16), bool), terrain)
