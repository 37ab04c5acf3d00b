"""Self-supervised learning: the mechanisms of the items, and the exact entries of chapter 12."""

import math

import pytest
import torch
from torch.nn import functional as F

from unstuck.cases.course import dino, inpainting, jigsaw, mae, moco, rotation, simclr
from unstuck.cases.course.data.augmentation import affine_views, stroke_views
from unstuck.cases.course.data.probe import linear_probe


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_probe_separates_what_is_linearly_separable_at_any_scale() -> None:
    y = torch.arange(60) % 3
    x = F.one_hot(y, 3) + 0.1 * noise(60, 3)
    assert linear_probe(x, y, x, y) == 1.0
    assert linear_probe(1e-4 * x + 7, y, 1e-4 * x + 7, y) == 1.0
    assert linear_probe(torch.zeros(60, 3), y, torch.zeros(60, 3), y) == pytest.approx(1 / 3)


def test_views_without_any_change_are_the_pictures() -> None:
    x = noise(4, 1, 8, 8)
    source = torch.Generator().manual_seed(0)
    torch.testing.assert_close(affine_views(x, source, zoom=0, turn=0, shift=0), x)
    assert (affine_views(x, source) - x).abs().mean() > 0.1


def test_strokes_get_thicker_or_thinner_but_keep_their_range() -> None:
    x = torch.zeros(20, 1, 9, 9)
    x[:, :, 3:6] = 1.0
    ink = stroke_views(x, torch.Generator().manual_seed(0)).sum((1, 2, 3)) / x[0].sum()
    assert ink.min() < 0.7
    assert ink.max() > 1.3
    assert stroke_views(x, torch.Generator().manual_seed(0)).aminmax() == (0, 1)


def test_turns_are_named_by_how_often_a_picture_was_turned() -> None:
    x = noise(5, 1, 6, 6)
    views, turns = rotation.turned(x)
    for view, turn, original in zip(views, turns, x.repeat(4, 1, 1, 1), strict=True):
        back = torch.rot90(view, -int(turn), (1, 2))
        torch.testing.assert_close(back, original)
    assert turns.bincount().tolist() == [5, 5, 5, 5]


def test_scattered_pictures_lie_in_all_orientations() -> None:
    x = noise(1, 1, 6, 6).repeat(40, 1, 1, 1)
    found = rotation.scattered(x, 0)
    views = [torch.rot90(x[0], turn, (1, 2)) for turn in range(4)]
    counts = [sum(torch.equal(one, view) for one in found) for view in views]
    assert sum(counts) == 40
    assert min(counts) > 3


@pytest.mark.entry("12.11")
def test_nine_tiles_have_362880_orders_and_a_small_set_of_them_lies_far_apart() -> None:
    assert math.factorial(9) == 362880
    for count in (64, 100):
        orders = jigsaw.permutation_set(count)
        assert orders.sort(1).values.equal(torch.arange(9).expand(count, 9))
        differ = (orders[:, None] != orders[None]).sum(2)
        assert differ[~torch.eye(count, dtype=torch.bool)].min() >= 6
    drawn = torch.stack([noise(9, seed=s).argsort() for s in range(64)])
    differ = (drawn[:, None] != drawn[None]).sum(2)
    assert differ[~torch.eye(64, dtype=torch.bool)].min() < 6


def test_tiles_come_from_their_cells_and_a_shuffle_can_be_undone() -> None:
    x = noise(3, 1, 28, 28)
    parts = jigsaw.tiles(x, torch.ones(9, 2, dtype=torch.long))
    torch.testing.assert_close(parts[:, 5], x[:, 0, 10:18, 19:27])  # row 1, column 2
    orders = jigsaw.permutation_set(3)
    torch.testing.assert_close(
        jigsaw.shuffled(jigsaw.shuffled(parts, orders), orders.argsort(1)), parts
    )


def test_the_masked_error_counts_the_hole_alone() -> None:
    mask = inpainting.hole_mask()
    x, guessed = noise(2, 1, 28, 28), noise(2, 1, 28, 28, seed=1).requires_grad_()
    error = inpainting.masked_error(x, guessed, mask)
    rows, columns = inpainting.HOLE, inpainting.HOLE
    expected = F.mse_loss(guessed[:, :, rows, columns], x[:, :, rows, columns])
    torch.testing.assert_close(error, expected)
    (gradient,) = torch.autograd.grad(error, guessed)
    assert gradient[:, :, mask == 0].abs().max() == 0
    assert gradient[:, :, mask == 1].abs().min() > 0


def test_the_adversarial_term_trains_its_judge_and_runs() -> None:
    recipe = {**inpainting.TINY, "sample": True, "adversarial": 0.02}
    metrics = inpainting.train(recipe, 0)
    assert (
        metrics["hole_error"] != inpainting.train({**recipe, "adversarial": 0.0}, 0)["hole_error"]
    )


@pytest.mark.entry("12.15")
def test_the_adversarial_game_needs_the_outer_minimum() -> None:
    """V12: maximised over D the adversarial term is 2 JSD - log 4, least where F draws the data."""
    data = torch.tensor([0.5, 0.3, 0.2])
    drawings = torch.softmax(noise(50, 3), dim=1)

    def best_of_d(drawn: torch.Tensor) -> torch.Tensor:
        d = data / (data + drawn)
        return (data * d.log() + drawn * (1 - d).log()).sum()

    least = best_of_d(data)
    torch.testing.assert_close(least, torch.tensor(-math.log(4)))
    assert all(best_of_d(drawn) > least for drawn in drawings)


def n_way(z: torch.Tensor, tau: float) -> torch.Tensor:
    """NT-Xent as the library's cross-entropy of a (2N - 1)-way choice."""
    z = z / z.norm(dim=1, keepdim=True)
    total, count = z.new_zeros(()), len(z)
    for i in range(count):
        others = [k for k in range(count) if k != i]
        scores = torch.stack([z[i] @ z[k] / tau for k in others])
        right = torch.tensor(others.index((i + count // 2) % count))
        total = total + F.cross_entropy(scores, right)
    return total / count


@pytest.mark.entry("12.27", "12.30")
def test_nt_xent_is_an_n_way_cross_entropy() -> None:
    z = noise(10, 4).requires_grad_()
    ours, theirs = simclr.nt_xent(z, 0.3), n_way(z, 0.3)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(torch.autograd.grad(ours, z)[0], torch.autograd.grad(theirs, z)[0])
    torch.testing.assert_close(simclr.nt_xent(torch.ones(10, 4), 0.3), torch.tensor(math.log(9)))


@pytest.mark.entry("12.27")
def test_info_nce_is_an_n_way_cross_entropy_and_log_n_for_equal_scores() -> None:
    query, key, queue = (F.normalize(noise(n, 4, seed=n), dim=1) for n in (5, 5, 7))
    key = key.clone()
    positive = (query * key).sum(1) / 0.2
    negatives = query @ queue.T / 0.2
    written = -(positive.exp() / (positive.exp() + negatives.exp().sum(1))).log().mean()
    torch.testing.assert_close(moco.info_nce(query, key, queue, 0.2), written)
    same = torch.ones(1, 4) / 2
    loss = moco.info_nce(same.expand(5, -1), same.expand(5, -1), same.expand(7, -1), 0.2)
    torch.testing.assert_close(loss, torch.tensor(math.log(8)))


@pytest.mark.entry("12.28")
def test_log_n_minus_info_nce_is_below_the_mutual_information_and_rises_with_n() -> None:
    """Correlated normal pairs, scored with the true log density ratio."""
    rho, anchors = 0.9, 4000
    information = -0.5 * math.log(1 - rho**2)
    source = torch.Generator().manual_seed(0)
    bounds = []
    for n in (2, 8, 64):
        x = torch.randn(anchors, 1, generator=source)
        y = torch.randn(anchors, n, generator=source)
        y[:, :1] = rho * x + math.sqrt(1 - rho**2) * y[:, :1]
        scores = -((y - rho * x) ** 2) / (2 * (1 - rho**2)) + y**2 / 2
        loss = F.cross_entropy(scores, torch.zeros(anchors, dtype=torch.long))
        bounds.append(math.log(n) - float(loss))
    assert bounds[0] < bounds[1] < bounds[2] < information
    assert bounds[2] > 0.9 * information


@pytest.mark.entry("12.36")
def test_the_key_encoder_follows_as_a_moving_average() -> None:
    torch.manual_seed(0)
    slow, fast = moco.Network(2), moco.Network(2)
    before = [p.detach().clone() for p in slow.parameters()]
    moco.follow(slow, fast, 0.9)
    for now, old, target in zip(slow.parameters(), before, fast.parameters(), strict=True):
        torch.testing.assert_close(now.detach(), 0.9 * old + 0.1 * target.detach())


def test_patches_can_be_put_together_again() -> None:
    x = noise(3, 1, 28, 28)
    cut, side = mae.patches(x), mae.PATCH
    torch.testing.assert_close(mae.picture(cut), x)
    second_row = cut[0, mae.PER_SIDE].view(side, side)
    torch.testing.assert_close(second_row, x[0, 0, side : 2 * side, :side])


def test_the_masked_autoencoder_never_sees_what_is_hidden() -> None:
    torch.manual_seed(0)
    model = mae.MaskedAutoencoder(16, 1)
    cut = noise(2, mae.PER_SIDE**2, mae.PATCH**2).requires_grad_()
    order = mae.random_order(2, torch.Generator().manual_seed(0))
    kept, hidden = order[:, :4], order[:, 4:]
    guessed = model(cut, kept)
    (gradient,) = torch.autograd.grad(guessed.square().sum(), cut)
    assert mae.take(gradient, hidden).abs().max() == 0
    assert mae.take(gradient, kept).abs().min() > 0

    guessed = guessed.detach().requires_grad_()
    error = mae.masked_error(cut.detach(), guessed, hidden)
    (gradient,) = torch.autograd.grad(error, guessed)
    assert mae.take(gradient, kept).abs().max() == 0
    assert mae.take(gradient, hidden).abs().min() > 0


@pytest.mark.entry("12.21")
def test_three_quarters_of_256_patches_leave_64() -> None:
    """V11: 16 x 16 patches are those of a 256 px picture; one of 224 px has 14 x 14."""
    assert (256 // 16) ** 2 == 256
    assert (224 // 16) ** 2 == 196
    assert round(0.25 * 256) == 64
    assert 256 - 64 == 192


@pytest.mark.entry("12.43")
def test_self_distillation_is_a_cross_entropy_without_gradient_to_the_teacher() -> None:
    r = dino.Recipe()
    student, teacher = noise(6, 5).requires_grad_(), noise(6, 5, seed=1).requires_grad_()
    centre = noise(5, seed=2)
    ours = dino.self_distillation(student, teacher, centre, r)
    target = F.softmax((teacher.detach() - centre) / r.teacher_temperature, dim=1)
    theirs = F.cross_entropy(student / r.student_temperature, target)
    torch.testing.assert_close(ours, theirs)
    ours.backward()
    assert teacher.grad is None
    assert student.grad is not None


@pytest.mark.entry("12.44")
def test_centring_forbids_one_winner_and_sharpening_forbids_a_tie() -> None:
    r = dino.Recipe()
    constant = torch.tensor([[3.0, 0.0, 0.0, 0.0]]).expand(8, -1)
    collapsed = dino.self_distillation(constant, constant, torch.zeros(4), r)
    centred = dino.self_distillation(constant, constant, constant.mean(0), r)
    assert collapsed < 1e-6  # all the same and no loss at all
    assert centred > math.log(4)  # with the centre, the same answer for all is punished
    scores = noise(1, 4)
    sharp = F.softmax(scores / r.teacher_temperature, dim=1)
    soft = F.softmax(scores / r.student_temperature, dim=1)
    assert torch.special.entr(sharp).sum() < torch.special.entr(soft).sum()
