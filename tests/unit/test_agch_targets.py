"""Targets, losses and switches of the hashing case do what the recipe and the papers say."""

import math

import pytest
import torch
from torch.nn.functional import normalize

from unstuck.cases.agch.losses import (
    balance_term,
    between_term,
    contrast_term,
    graph_term,
    quantisation_term,
    within_term,
)
from unstuck.cases.agch.model import Hasher, Outputs
from unstuck.cases.agch.recipe import DEFECTS, PAPER, PRESETS, REPAIRS, Recipe, made
from unstuck.cases.agch.targets import (
    batch_similarity,
    diffused_similarity,
    joint_features,
    neighbour_graph,
    targets_of,
)
from unstuck.cases.agch.train import batches, loss_of, optimizer_of, phases, schedule_of


def items(n=40, seed=0):
    """Two kinds of items: the kind shows in a third of the numbers of either modality."""
    generator = torch.Generator().manual_seed(seed)
    kind = torch.arange(n) % 2
    x = torch.randn(n, 12, generator=generator)
    x[:, :4] += 3.0 * (2 * kind[:, None] - 1)
    t = (torch.rand(n, 30, generator=generator) < 0.1).float()
    t[torch.arange(n), kind] = 1.0
    return x, t, kind


def test_product_is_cosine_times_nearness_with_both_gammas():
    x, t, _ = items(5)
    r = Recipe(gamma_image=2.0, gamma_text=0.3)
    found = batch_similarity(x, t, r)
    for i in range(5):
        for j in range(5):
            cos_x = torch.cosine_similarity(x[i], x[j], dim=0)
            cos_t = torch.cosine_similarity(t[i], t[j], dim=0)
            cosine = 4.0 * cos_x + 0.09 * cos_t
            distance = math.sqrt(max(0.0, float(2 * (4.09 - cosine))))
            wanted = float(cosine) * math.exp(-distance / 4.0)
            assert float(found[i, j]) == pytest.approx(wanted, abs=2e-3)


def test_the_ways_to_join_cosine_and_distance():
    x, t, _ = items(6)
    one = {k: batch_similarity(x, t, Recipe(similarity=k)) for k in ("cosine", "distance")}
    product = batch_similarity(x, t, Recipe(similarity="product"))
    total = batch_similarity(x, t, Recipe(similarity="sum"))
    assert torch.allclose(product, one["cosine"] * one["distance"])
    assert torch.allclose(total, one["cosine"] + one["distance"])
    plain, root = (batch_similarity(x, t, Recipe(similarity="distance", root=b)) for b in (0, 1))
    distance = -4.0 * plain.double().log()
    assert torch.allclose(-4.0 * root.double().log(), distance.clamp_min(0).sqrt(), atol=1e-3)


def test_renormalising_loses_gamma():
    x, t, _ = items(6)
    long = joint_features(x, t, Recipe(gamma_image=2.0, gamma_text=0.3))
    short = joint_features(x, t, Recipe(gamma_image=2.0, gamma_text=0.3, renormalise=True))
    assert torch.allclose(long.norm(dim=1), torch.full((6,), math.sqrt(4.09)))
    assert torch.allclose(short.norm(dim=1), torch.ones(6))


def test_diffused_targets_tell_kinds_apart_and_lie_around_zero():
    x, t, kind = items()
    found = diffused_similarity(x, t, Recipe(rank=4, neighbours=25))
    same = kind[:, None] == kind
    beside = ~torch.eye(len(kind), dtype=torch.bool)
    assert float(found[same & beside].mean()) > 0.2 + float(found[~same].mean())
    assert abs(float(found[beside].mean())) < 0.15
    assert torch.allclose(found.diagonal(), torch.ones(len(kind)), atol=1e-5)
    kept = diffused_similarity(x, t, Recipe(rank=4, neighbours=25, trivial=True))
    assert float(kept[beside].mean()) > float(found[beside].mean())
    with pytest.raises(ValueError, match="rank 50 needs more than 51"):
        diffused_similarity(x, t, Recipe(rank=50))


def test_the_neighbour_graph_is_that_of_a_slow_search():
    z = normalize(torch.randn(12, 5, generator=torch.Generator().manual_seed(1)))
    cosine = z @ z.T
    weight = torch.zeros(12, 12)
    for i in range(12):
        others = sorted((j for j in range(12) if j != i), key=lambda j: -float(cosine[i, j]))
        for j in others[:3]:
            weight[i, j] = weight[j, i] = max(0.0, float(cosine[i, j]))
    degree = weight.sum(1).clamp_min(1e-9)
    wanted = weight / (degree[:, None] * degree).sqrt()
    assert torch.allclose(neighbour_graph(z.clone(), 3), wanted, atol=1e-6)


def test_adjacency_is_what_comes_before_the_affine_step():
    similarity = torch.tensor([[1.0, 0.6], [0.6, 1.0]])
    right = targets_of(similarity, Recipe(affine=True))
    assert torch.allclose(right.similarity, torch.tensor([[1.0, 0.2], [0.2, 1.0]]))
    assert torch.allclose(right.adjacency, similarity / 1.6)
    negative = targets_of(similarity - 0.8, Recipe(affine=True, adjacency="target"))
    assert (negative.adjacency < 0).any()
    assert (targets_of(similarity - 0.8, Recipe(affine=True)).adjacency >= 0).all()


def outputs(n=8, bits=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Outputs(*(torch.rand(n, bits, generator=generator) * 2 - 1 for _ in range(5)))


def test_terms_are_what_they_are_called():
    out = outputs()
    wanted = torch.rand(8, 8, generator=torch.Generator().manual_seed(9))
    unit = {name: normalize(getattr(out, name)) for name in ("image", "text", "joint")}

    def away(a, b):
        return float((unit[a] @ unit[b].T - wanted).square().mean())

    assert float(within_term(out, wanted)) == pytest.approx(sum(away(k, k) for k in unit))
    pairs = (("image", "text"), ("image", "joint"), ("text", "joint"))
    assert float(between_term(out, wanted)) == pytest.approx(sum(away(*p) for p in pairs))
    gap = sum(float((b.abs() - 1).square().mean()) for b in (out.image, out.text))
    assert float(quantisation_term(out)) == pytest.approx(gap)
    balance = sum(float(b.mean(0).square().mean()) for b in (out.image, out.text))
    assert float(balance_term(out)) == pytest.approx(balance)
    score = (unit["image"] @ unit["text"].T) / 0.5
    both = [s.log_softmax(1).diagonal().mean() for s in (score, score.T)]
    assert float(contrast_term(out, 0.5)) == pytest.approx(-float(sum(both)) / 2)
    assert float(graph_term(out._replace(graph_image=None, graph_text=None), wanted)) == 0.0


def test_every_weight_acts_and_constant_weights_do_not():
    out = outputs()
    targets = targets_of(torch.rand(8, 8, generator=torch.Generator().manual_seed(9)), Recipe())
    usual = float(loss_of(out, targets, Recipe()))
    constant = float(loss_of(out, targets, Recipe(constant_weights=True)))
    for name in ("alpha", "beta", "delta", "align", "quantisation", "balance", "contrast"):
        assert float(loss_of(out, targets, Recipe(**{name: 3.5}))) != pytest.approx(usual), name
    for name in ("alpha", "beta", "delta"):
        changed = Recipe(constant_weights=True, **{name: 3.5})
        assert float(loss_of(out, targets, changed)) == pytest.approx(constant)


def hasher(**changes):
    torch.manual_seed(0)
    return Hasher(12, 30, Recipe(hidden=16, bits=8, **changes))


def test_presets_hold_each_defect_and_each_repair():
    reported, notes = PRESETS["reported"], PRESETS["notes"]
    for changes in DEFECTS.values():
        assert all(getattr(reported, name) == value for name, value in changes.items())
    for changes in REPAIRS.values():
        assert all(getattr(notes, name) == value for name, value in changes.items())
    assert all(getattr(PRESETS["paper"], name) == value for name, value in PAPER.items())
    assert PRESETS["repaired"] == Recipe() == made(Recipe().flat())


def test_each_block_trains_nothing_but_itself():
    x, t, _ = items(16)
    recipe = Recipe(hidden=16, bits=8, phases="blocks", dropout=0.0, source="batch")
    net = Hasher(12, 30, recipe)
    optimizer = optimizer_of(net, recipe)
    targets = targets_of(batch_similarity(x, t, recipe), recipe)
    names = list(net.blocks())
    assert names == ["image", "text", "graph", "fusion"] and len(phases(net, recipe)) == 4
    for name, block in net.blocks().items():
        before = {k: v.clone() for k, v in net.state_dict().items()}
        loss = loss_of(net(x, t, targets.adjacency), targets, recipe)
        optimizer.zero_grad()
        loss.backward(inputs=list(block.parameters()))
        optimizer.step()
        moved = {k.split(".")[0] for k, v in net.named_parameters() if not v.equal(before[k])}
        assert moved == ({"graph_image", "graph_text"} if name == "graph" else {name})


def test_the_graph_branch_joins_the_code_or_stands_beside_it():
    x, t, _ = items(10)
    adjacency = torch.eye(10)
    for joins in (True, False):
        net = hasher(graph_joins=joins, dropout=0.0)
        with torch.no_grad():
            before = net(x, t, adjacency).joint
            for part in (net.graph_image, net.graph_text):
                part.out.weight.mul_(5)
            assert net(x, t, adjacency).joint.equal(before) is not joins
    assert net(x, t, adjacency).graph_image is not None
    assert hasher(graph=False)(x, t, adjacency).graph_image is None


def test_inputs_are_prepared_from_training_items_alone():
    x, t, _ = items()
    net = hasher()
    net.fit_inputs(x[:20], t[:20])
    images, texts = net.inputs(x, t)
    assert torch.allclose(images[:20].mean(0), torch.zeros(12), atol=1e-5)
    rare = torch.log(20 / t[:20].sum(0).clamp_min(1))
    assert torch.allclose(texts, t * rare)
    net.eval()
    assert torch.allclose(net.images(x), net.image(images)[1])
    assert torch.allclose(net.texts(t), net.text(texts)[1])


def test_a_schedule_that_is_not_stepped_leaves_the_rate():
    recipe = Recipe(hidden=16, bits=8, schedule="step", epochs=4)
    optimizer = optimizer_of(hasher(), recipe)
    scheduler = schedule_of(optimizer, recipe, 10)
    for _ in range(40):
        optimizer.step()
        scheduler.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(1e-4)
    assert schedule_of(optimizer, Recipe(schedule="none"), 10) is None


def test_batches_are_whole_and_depend_on_the_seed_alone():
    rows = list(batches(50, 16, seed=3))
    assert [len(r) for r in rows] == [16, 16, 16]
    assert len(set(torch.cat(rows).tolist())) == 48
    assert all(a.equal(b) for a, b in zip(rows, batches(50, 16, seed=3), strict=True))
    assert [len(r) for r in batches(9, 16, seed=3)] == [9]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"bits": 3}, "bits: Input should be greater than or equal to 4"),
        ({"bits": 5000}, "bits: Input should be less than or equal to 1024"),
        ({"data": "mirflickr"}, "data mirflickr needs path"),
        ({"path": "x.mat"}, "path is for published features, and data is emoji"),
        ({"gamma_image": 0.0, "gamma_text": 0.0}, "must not both be zero"),
        ({"gama": 1}, "unknown key 'gama'"),
    ],
)
def test_a_bad_recipe_is_refused_in_one_line(values, said):
    with pytest.raises(ValueError, match=r"^[^\n]*$") as error:
        made(values)
    assert said in str(error.value)
