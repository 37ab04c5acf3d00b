"""Chapters 15 to 17: shapes and views, pictures with words, learning to act."""

import math

import gymnasium
import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from skimage.measure import marching_cubes
from torch import Tensor, nn

from unstuck.cases.course import (
    behaviour_cloning,
    clip,
    dqn,
    implicit_shape,
    nerf,
    pointnet,
    policy_gradient,
)
from unstuck.cases.course.data import cartpole, road, solids, views
from unstuck.data import emoji


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


# Chapter 15


@pytest.mark.entry("15.06", "15.09")
def test_parametric_surfaces_lie_where_their_implicit_forms_are_zero() -> None:
    random = np.random.default_rng(0)
    u, v = random.uniform(0, 2 * np.pi, 200), random.uniform(-np.pi / 2, np.pi / 2, 200)
    x, y, z = solids.sphere(u, v, 1.7).T
    np.testing.assert_allclose(x**2 + y**2 + z**2 - 1.7**2, 0, atol=1e-12)
    x, y, z = solids.torus(u, 2 * v, 2.0, 0.5).T
    np.testing.assert_allclose((2 - np.sqrt(x**2 + y**2)) ** 2 + z**2 - 0.25, 0, atol=1e-12)
    x, y, z = solids.sphere(u, np.zeros(200), 3.0).T  # the equator is the parametric circle
    np.testing.assert_allclose(np.hypot(x, y), 3, atol=1e-12)
    assert not z.any()


@pytest.mark.entry("15.10")
def test_the_sign_of_the_implicit_form_tells_inside_from_outside() -> None:
    points = torch.tensor([[0.0, 0, 0], [0.9, 0, 0], [1.1, 0, 0]])
    assert (solids.sphere_distance(points, 1.0) < 0).tolist() == [True, True, False]
    assert (solids.torus_distance(points, 1.0, 0.2) < 0).tolist() == [False, True, True]


@pytest.mark.entry("15.12")
def test_minimum_and_maximum_are_union_intersection_and_difference() -> None:
    points = torch.rand(5000, 3) * 4 - 2
    a = solids.sphere_distance(points, 1.2)
    b = solids.box_distance(points - 0.5, 0.8)
    in_a, in_b = a < 0, b < 0
    assert torch.equal(solids.union(a, b) < 0, in_a | in_b)
    assert torch.equal(solids.intersection(a, b) < 0, in_a & in_b)
    assert torch.equal(solids.difference(a, b) < 0, in_a & ~in_b)
    assert 0 < int((in_a & ~in_b).sum()) < 5000


@pytest.mark.entry("15.13")
@pytest.mark.parametrize("kind", ["sphere", "torus", "box", "cylinder"])
def test_a_signed_distance_has_slope_one_and_leads_to_the_surface(kind: str) -> None:
    distance = {
        "sphere": lambda p: solids.sphere_distance(p, 1.0),
        "torus": lambda p: solids.torus_distance(p, 1.0, 0.3),
        "box": lambda p: solids.box_distance(p, 0.7),
        "cylinder": lambda p: solids.cylinder_distance(p, 0.6),
    }[kind]
    points = (torch.rand(500, 3, dtype=torch.float64) * 4 - 2).requires_grad_()
    values = distance(points)
    (slope,) = torch.autograd.grad(values.sum(), points)
    torch.testing.assert_close(slope.norm(dim=1), torch.ones(500, dtype=torch.float64))
    landed = points - values[:, None] * slope
    torch.testing.assert_close(distance(landed), torch.zeros(500, dtype=torch.float64))


@pytest.mark.entry("15.15", "15.32")
def test_a_cube_of_256_a_side_has_nearly_17_million_cells() -> None:
    assert 256**3 == 16_777_216


@pytest.mark.entry("15.32")
def test_marching_cubes_puts_a_spheres_corners_on_the_sphere() -> None:
    side = torch.linspace(-1, 1, 41)
    grid = torch.cartesian_prod(side, side, side)
    cube = solids.sphere_distance(grid, 0.7).reshape(41, 41, 41).numpy()
    corners, faces, _, _ = marching_cubes(cube, 0.0)
    np.testing.assert_allclose(np.linalg.norm(corners / 20 - 1, axis=1), 0.7, atol=2e-3)
    edges = len({tuple(sorted(e)) for f in faces for e in (f[:2], f[1:], f[[0, 2]])})
    assert len(corners) - edges + len(faces) == 2  # Euler: closed, no hole


@pytest.mark.entry("15.22")
def test_pointnet_sees_no_order_and_its_twin_that_reads_does() -> None:
    clouds, _ = solids.clouds(6, 40, 0)
    shuffled = clouds[:, torch.randperm(40)]
    pooled = pointnet.PointNet(40, 32, pooled=True)
    torch.testing.assert_close(pooled(shuffled), pooled(clouds), atol=1e-6, rtol=1e-5)
    reading = pointnet.PointNet(40, 32, pooled=False)
    assert (reading(shuffled) - reading(clouds)).abs().max() > 1e-3


@pytest.mark.entry("15.22")
def test_the_critical_points_alone_have_the_same_feature() -> None:
    cloud, _ = solids.clouds(1, 60, 0)
    model = pointnet.PointNet(60, 16, pooled=True)
    features = model.features(cloud)[0]
    critical = features.argmax(0).unique()
    assert len(critical) < 60
    torch.testing.assert_close(features[critical].max(0).values, features.max(0).values)


@pytest.mark.entry("15.23")
def test_the_t_net_turns_nothing_at_first() -> None:
    model, cloud = pointnet.PointNet(10, 8, pooled=True), torch.randn(2, 10, 3)
    torch.testing.assert_close(model.features(cloud), model.per_point(cloud))


@pytest.mark.entry("15.27")
def test_the_chamfer_distance_is_both_ways_to_the_nearest() -> None:
    a, b = torch.randn(7, 3), torch.randn(5, 3)
    there = torch.stack([((b - p) ** 2).sum(1).min() for p in a]).mean()
    back = torch.stack([((a - p) ** 2).sum(1).min() for p in b]).mean()
    torch.testing.assert_close(solids.chamfer_distance(a, b), there + back)
    torch.testing.assert_close(solids.chamfer_distance(a, b), solids.chamfer_distance(b, a))
    doubled = torch.cat([a, a[:1]])  # a point more in the same place is no difference to it
    assert float(solids.chamfer_distance(doubled, a)) == pytest.approx(0, abs=1e-6)


@pytest.mark.entry("15.28")
def test_the_earth_movers_distance_is_stricter_than_chamfer() -> None:
    """Nine points here and one there, against one here and nine there: Chamfer sees nothing."""
    a = np.array([[0.0]] * 9 + [[1.0]])
    b = np.array([[0.0]] + [[1.0]] * 9)
    cost = np.abs(a - b.T)
    rows, columns = linear_sum_assignment(cost)
    assert cost[rows, columns].sum() == 8
    wide = [torch.from_numpy(np.pad(x, ((0, 0), (0, 2)))) for x in (a, b)]
    assert float(solids.chamfer_distance(*wide)) == 0


@pytest.mark.entry("15.34")
def test_volume_rendering_weights_are_what_is_absorbed_on_the_way() -> None:
    density, delta = torch.rand(6, 9) * 3, torch.rand(6, 9)
    weights = nerf.weights_along(density, delta)
    assert (weights >= 0).all()
    assert (weights.sum(1) <= 1 + 1e-6).all()
    # what is left is the light that passes through all of it
    left = torch.exp(-(density * delta).sum(1))
    torch.testing.assert_close(weights.sum(1), 1 - left)
    alpha = 1 - torch.exp(-density * delta)
    by_hand = [alpha[:, i] * (1 - alpha[:, :i]).prod(1) for i in range(9)]
    torch.testing.assert_close(weights, torch.stack(by_hand, 1))


@pytest.mark.entry("15.34")
def test_a_wall_hides_what_is_behind_it() -> None:
    weights = nerf.weights_along(torch.tensor([[0.0, 1e4, 5.0]]), torch.ones(1, 3))
    torch.testing.assert_close(weights, torch.tensor([[0.0, 1.0, 0.0]]))


@pytest.mark.entry("15.33")
def test_an_opaque_ball_is_rendered_where_the_camera_saw_it() -> None:
    class Ball(nn.Module):
        def forward(self, points: Tensor) -> tuple[Tensor, Tensor]:
            return torch.zeros_like(points), 1e4 * (points.norm(dim=1) < 0.5)

    origin, way = views.rays(0.7, 0.4, 24)
    picture = nerf.rendered(Ball(), origin, way, torch.full((24 * 24, 256), 0.5))[:, 0]
    passes = torch.linalg.cross(origin, way).norm(dim=1)  # how far from the middle
    assert (picture[passes < 0.48] < 1e-4).all()
    assert (picture[passes > 0.52] > 1 - 1e-4).all()


def test_the_positional_encoding_is_that_of_the_paper() -> None:
    p = torch.randn(2, 3)
    encoded = nerf.encoded(p, 2)
    parts = [p, torch.sin(math.pi * p), torch.cos(math.pi * p)]
    parts += [torch.sin(2 * math.pi * p), torch.cos(2 * math.pi * p)]
    torch.testing.assert_close(encoded, torch.cat(parts, 1))


def test_rays_have_length_one_and_the_middle_ones_meet_the_middle() -> None:
    origin, way = views.rays(1.2, 0.5, 2)
    torch.testing.assert_close(way.norm(dim=1), torch.ones(4))
    torch.testing.assert_close(way.mean(0) / way.mean(0).norm(), -origin[0] / views.DISTANCE)


def test_overlap_is_one_for_the_same_and_less_for_a_shell() -> None:
    side = torch.linspace(-1, 1, 41)
    grid = torch.cartesian_prod(side, side, side)
    large, small = (solids.sphere_distance(grid, radius) < 0 for radius in (0.8, 0.4))
    assert implicit_shape.overlap(large, large) == 1
    assert implicit_shape.overlap(large, small) == pytest.approx(1 / 8, rel=0.05)


# Chapter 16


@pytest.mark.entry("16.04", "V16")
def test_clips_loss_is_cross_entropy_both_ways() -> None:
    similarity = torch.randn(6, 6, requires_grad=True)
    loss = sum(clip.contrastive(similarity))
    rows = -torch.diagonal(similarity.log_softmax(1)).mean()
    columns = -torch.diagonal(similarity.log_softmax(0)).mean()
    torch.testing.assert_close(loss, (rows + columns) / 2)
    (slope,) = torch.autograd.grad(loss, similarity)
    expected = ((similarity.softmax(1) + similarity.softmax(0)) / 2 - torch.eye(6)) / 6
    torch.testing.assert_close(slope, expected)


@pytest.mark.entry("16.04", "V16")
def test_without_temperature_similarities_of_unit_vectors_cannot_be_told_apart() -> None:
    """Perfect pairs of N, scale 1: each softmax still gives its partner e / (e + N - 1)."""
    n = 64
    unscaled = sum(clip.contrastive(torch.eye(n)))
    assert float(unscaled) == pytest.approx(math.log(math.e + n - 1) - 1, rel=1e-5)
    assert float(sum(clip.contrastive(14.3 * torch.eye(n)))) < 1e-3


@pytest.mark.entry("16.03")
def test_clips_vectors_have_length_one_and_its_scale_learns() -> None:
    model = clip.Clip(20, 4, 8, 14.3)
    bag = (torch.rand(5, 20) < 0.4).float()
    similarity = model(torch.rand(5, 3, 32, 32), bag)
    assert similarity.abs().max() <= 14.3 * (1 + 1e-5)
    sum(clip.contrastive(similarity)).backward()
    assert model.log_scale.grad is not None
    assert model.log_scale.grad.abs() > 0


@pytest.mark.entry("16.06")
def test_zero_shot_is_the_nearest_text() -> None:
    assert torch.tensor([0.13, 0.27, 0.09]).argmax() == 1


@pytest.mark.entry("16.12", "K04")
def test_a_bag_of_words_does_not_know_who_eats_whom() -> None:
    data = emoji.load(32, sample=True)
    changed = data._replace(
        names=["horse eating grass", "grass eating horse", *data.names[2:]],
        keywords=[[], [], *data.keywords[2:]],
    )
    bags, vocabulary = clip.bags_of(changed)
    assert bags[0].sum() > 0
    assert torch.equal(bags[0], bags[1])
    assert "horse" in vocabulary


def test_recall_counts_partners_among_the_first() -> None:
    similarity = torch.tensor([[0.9, 0.1, 0.0], [0.8, 0.5, 0.9], [0.3, 0.2, 0.1]])
    assert clip.recall(similarity, 1) == pytest.approx(1 / 3)
    assert clip.recall(similarity, 2) == pytest.approx(1 / 3)
    assert clip.recall(similarity, 3) == 1


@pytest.mark.entry("16.19", "16.21")
def test_a_gate_of_zero_leaves_the_language_model_as_it_was() -> None:
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    gate = torch.zeros((), requires_grad=True)
    y, seen = torch.randn(2, 5, 8), torch.randn(2, 3, 8)
    out = y + torch.tanh(gate) * attention(y, seen, seen)[0]
    assert torch.equal(out, y)
    out.sum().backward()
    assert gate.grad is not None
    assert gate.grad != 0  # and yet the gate can open
    assert all(not p.grad.any() for p in attention.parameters())


@pytest.mark.entry("16.31")
def test_clip_saw_three_hundred_times_the_pictures() -> None:
    assert 400 / 1.28 == 312.5


# Chapter 17


@pytest.mark.entry("17.04")
def test_the_cart_pole_is_gymnasiums() -> None:
    environment = gymnasium.make("CartPole-v1").unwrapped
    random = np.random.default_rng(0)
    first, _ = environment.reset(seed=0)
    ours = first[None].astype(float)
    for _ in range(200):
        action = int(random.integers(0, 2))
        theirs, reward, fell, _, _ = environment.step(action)
        ours, failed = cartpole.moved(ours, np.array([action]))
        np.testing.assert_allclose(ours[0], theirs, atol=1e-5)
        assert failed[0] == fell
        assert reward == 1
        if fell:
            break
    assert fell
    environment.close()


@pytest.mark.entry("17.12")
def test_the_target_of_q_learning_ends_with_the_episode() -> None:
    values = torch.tensor([[1.0, 5.0], [7.0, 2.0]])
    aim = dqn.targets(torch.ones(2), torch.tensor([False, True]), values, 0.9)
    torch.testing.assert_close(aim, torch.tensor([1 + 0.9 * 5, 1.0]))


def test_returns_are_discounted_from_the_end_and_scaled() -> None:
    rewards = np.array([[1.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    found = policy_gradient.discounted(rewards, 0.5)
    np.testing.assert_allclose(found[:, 0], [0.5 * 1.75, 0.5 * 1.5, 0.5])
    np.testing.assert_allclose(found[:, 1], [0.5, 0, 0])


@pytest.mark.entry("17.03")
def test_the_baseline_leaves_the_mean_of_the_policy_gradient_alone() -> None:
    """Over all actions of one state: E grad log pi (G - b) is the same for every b."""
    scores = torch.randn(3, requires_grad=True)
    gain = torch.tensor([1.0, 4.0, 2.0])

    def gradient(b: float) -> Tensor:
        policy = scores.log_softmax(0)
        weighted = (policy.exp().detach() * policy * (gain - b)).sum()
        return torch.autograd.grad(weighted, scores)[0]

    torch.testing.assert_close(gradient(0.0), gradient(3.7))
    expected = torch.autograd.grad((scores.softmax(0) * gain).sum(), scores)[0]
    torch.testing.assert_close(gradient(0.0), expected)


def test_carts_that_have_fallen_earn_nothing_more() -> None:
    model = policy_gradient.ActorCritic()
    _, actions, rewards = policy_gradient.played(model, 5, 60, np.random.default_rng(0))
    assert actions.shape == rewards.shape
    assert (np.diff(rewards, axis=0) <= 0).all()
    assert rewards[0].all()


@pytest.mark.entry("17.20", "L04")
def test_an_expert_on_a_still_day_never_sees_the_line_from_the_side() -> None:
    random = np.random.default_rng(0)
    still, windy = (
        road.driven(road.expert, 20, 200, wind, random)[1][50:, :, 0] for wind in (0.0, 0.3)
    )
    assert np.abs(still).max() < 0.05
    assert np.abs(windy).max() > 0.3


@pytest.mark.entry("17.21")
def test_dagger_labels_what_the_policy_sees_with_what_the_expert_would_do() -> None:
    recipe = behaviour_cloning.Recipe(labels=50, way=40)
    careless = behaviour_cloning.labelled(
        lambda seen, _: np.zeros(len(seen)), 0.3, recipe, np.random.default_rng(0)
    )
    careful = behaviour_cloning.labelled(road.expert, 0.0, recipe, np.random.default_rng(0))
    assert careless[0].shape == (50, road.PIXELS)
    assert np.abs(careless[1]).max() > np.abs(careful[1]).max()


def test_the_camera_sees_the_line_where_it_is() -> None:
    roads = road.Roads(1, 0.0, np.random.default_rng(0))
    roads.car[0] = (0.4, 0.0, 0.0)
    rows = roads.camera().reshape(len(road.AHEAD), -1)
    assert road.COLUMNS[rows.argmax(1)] == pytest.approx([-0.4] * 3)
