"""Trainings of the automata case: both tasks, pools, what a run leaves, going on, accidents."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from unstuck.cases.nca import flow, growing, sample
from unstuck.cases.nca.checkpoint import trained
from unstuck.cases.nca.pool import Pool, damage
from unstuck.cases.nca.recipe import PRESETS, Recipe
from unstuck.cases.nca.rollouts import lasting
from unstuck.cases.nca.scenes import coordinates, judged
from unstuck.cases.nca.train import main, train
from unstuck.cases.nca.training import Training, rate

TASKS = ("grow", "flow")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    found = {}
    for task in TASKS:
        out = tmp_path_factory.mktemp(task) / "run"
        found[task] = out, train(PRESETS[f"{task}-tiny"], 0, out)
    return found


@pytest.mark.parametrize("task", TASKS)
def test_a_run_leaves_what_its_readers_need(runs, task):
    out, metrics = runs[task]
    assert json.loads((out / "metrics.json").read_text()) == metrics
    model, whole = trained(out)
    assert not model.training and lasting(model, whole, (1,))[1] == pytest.approx(metrics["error"])
    with np.load(out / "held_out.npz", allow_pickle=False) as kept:
        assert kept["input"].shape == kept["prediction"].shape == (4, 24, 24)
        assert kept["target"].dtype == np.uint8 and kept["target"].std() > 10
    with Image.open(out / "held_out.png") as page:
        assert page.size[0] > 300
    ages = json.loads((out / "pool.json").read_text())
    assert sum(count for _, _, count in ages) == 16


@pytest.mark.parametrize("task", TASKS)
def test_an_interrupted_run_goes_on_to_the_same_weights(runs, task, tmp_path, monkeypatch):
    recipe = PRESETS[f"{task}-tiny"]
    done = Training.iteration

    def stop(self, number):
        if number == 7:
            raise KeyboardInterrupt
        return done(self, number)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "iteration", stop)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, 0, tmp_path)
    with pytest.raises(ValueError, match="--resume"):
        train(recipe, 0, tmp_path)
    with pytest.raises(ValueError, match=r"lr 0.002 -> 0.01"):
        train(recipe.model_copy(update={"lr": 0.01}), 0, tmp_path, resume=True)
    again = train(recipe, 0, tmp_path, resume=True)
    assert again["error"] == runs[task][1]["error"]
    first, second = (
        torch.load(f / "rule.pt", weights_only=True) for f in (runs[task][0], tmp_path)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("curriculum", ["size", "steps", "both"])
def test_a_curriculum_begins_small_and_ends_whole(curriculum):
    recipe = PRESETS["grow-tiny"].model_copy(update={"curriculum": curriculum, "size": 32})
    training = Training(recipe, 0)
    sizes, steps = zip(*(training._now(i) for i in range(recipe.iterations)), strict=True)
    assert sizes[0] == (32 if curriculum == "steps" else 8) and sizes[-1] == 32
    assert (steps[0] < 12) == (curriculum != "size") and 12 <= steps[-1] <= 16
    assert train(recipe, 0)["error"] < 0.1


def test_one_remedy_after_another_trains():
    base = PRESETS["flow-tiny"].flat()
    for change in (
        {"coordinates": "true"},
        {"coordinates": "local", "levels": 1, "patch": 12, "padding": "circular"},
        {"levels": 1, "global_grid": 3, "scales": 3},
        {"levels": 2, "decoder": 2},
        {"patch": 12, "margin": 3},
        {"pool": 0},
        {"segment": 2, "gradients": "clipped", "seed_noise": 0.1},
        {"ranked": True, "age_limit": 2, "renewal": 0.0},
    ):
        metrics = train({**base, "iterations": 2, **change}, 0)
        assert np.isfinite(metrics["error"]), change


def test_the_rate_is_that_of_the_baseline():
    baseline = PRESETS["grow-baseline64"]
    assert (rate(baseline, 1999), rate(baseline, 2000)) == (1.0, 0.1)
    assert (baseline.size, baseline.batch_size, baseline.pool) == (72, 8, 1024)
    cosine = [rate(PRESETS["flow-repaired"], i) for i in range(5000)]
    assert cosine[0] == 0 and max(cosine) == 1 and cosine[-1] < 1e-6


def test_flow_is_in_units_in_which_the_mean_has_an_error_of_one():
    task = flow.Flow(PRESETS["flow-tiny"].model_copy(update={"domains": 24}))
    lots = torch.Generator().manual_seed(1)
    scene = task.scene(task.entries(256, 24, lots), 24)
    free = scene.mask.sum() * task.outputs
    mean = (scene.target * scene.mask).sum() / free
    square = (scene.target.square() * scene.mask).sum() / free
    assert abs(mean) < 0.1 and 0.8 < square < 1.2
    assert scene.given.shape == (256, 4, 24, 24) and scene.target.shape == (256, 5, 24, 24)
    other = flow.Flow(PRESETS["flow-tiny"].model_copy(update={"domains": 24}), 48)
    scene = other.scene(other.held_out(), 48)
    assert torch.equal(task.spread, other.spread) and scene.target.shape[-1] == 48
    assert 0.3 < float(scene.empty_error().mean()) < 3


def test_shear_is_laid_over_the_flow_and_broken_directions_are_noise():
    changed = {"domains": 8, "shear": 3.0, "broken": 0.5}
    task = flow.Flow(PRESETS["flow-tiny"].model_copy(update=changed))
    fair = torch.tensor([[2.0, 4.0, 0, 0], [5.0, 5.0, 0, 0]])
    u, v, *_ = (task.scene(fair, 24).target * task.spread + task.mean).unbind(1)
    plain = flow.Flow(PRESETS["flow-tiny"].model_copy(update={"domains": 8}))
    still = plain.scene(fair, 24).target * plain.spread + plain.mean
    free = task.scene(fair, 24).mask[:, 0] > 0
    place = ((torch.arange(24) + 0.5) / 12 - 1)[:, None].expand(24, 24)
    assert torch.allclose((u - still[:, 0])[free], 3 * place.expand_as(u)[free], atol=1e-4)
    assert torch.allclose(v[free], still[:, 1][free], atol=1e-4)
    broken = fair.clone()
    broken[:, 1] = 1.0
    noise = task.scene(broken, 24)
    assert torch.equal(noise.target, task.scene(broken, 24).target)
    values = noise.target[noise.mask.expand_as(noise.target) > 0]
    assert abs(float(values.std()) - flow.DIVERGED) < 0.05
    held_out = task.scene(task.held_out(), 24).target
    assert float(held_out.diff(dim=-1).square().mean()) < 1  # what is judged on is whole


def test_one_rule_grows_several_pictures_from_seeds_that_differ():
    recipe = PRESETS["grow-tiny"].model_copy(update={"image": "lizard, watermelon", "apart": 0.25})
    task = growing.Growing(recipe)
    entries = task.entries(64, 24, torch.Generator().manual_seed(0))
    assert set(entries[:, 0].tolist()) == {0.0, 1.0} and task.held_out()[:, 0].sum() == 4
    seeds = task.start(entries, 24, 16)[:, :, 12, 12]
    for which, channel in ((0, 4), (1, 5)):
        mine = seeds[entries[:, 0] == which]
        assert (mine[:, channel] == 0.75).all() and mine[:, 3:].sum(1).eq(12.75).all()
    assert not torch.equal(*task.scene(torch.tensor([[0.0] * 4, [1.0] + [0.0] * 3]), 24).target)
    with pytest.raises(ValueError, match="13 pictures are more than 16 channels"):
        growing.Growing(recipe.model_copy(update={"image": ",".join(["lizard"] * 13)}))


def test_a_crop_of_a_scene_is_part_of_it():
    recipe = PRESETS["flow-tiny"].model_copy(update={"coordinates": "true"})
    task = flow.Flow(recipe)
    entries = torch.tensor([[3.0, 0.7, 5.0, 9.0]])
    part, whole = task.scene(entries, 12), task.scene(entries, 24)
    for name in ("given", "target", "mask"):
        assert torch.equal(getattr(part, name), getattr(whole, name)[..., 5:17, 9:21])
    local = coordinates(recipe.model_copy(update={"coordinates": "local"}), entries, 12, 24)
    assert float(local[0, 0, 0, 0]) == pytest.approx(-11 / 12)


def test_cells_within_a_crops_own_border_do_not_count():
    mask = judged(torch.tensor([[0, 8], [4, 4]]), 8, 16, 2)
    assert mask[0, 0].sum() == 6 * 6 and mask[0, 0, 0, -1] == 1 and mask[0, 0, 0, 0] == 0
    assert mask[1, 0].sum() == 4 * 4


def pool_of(**changes):
    recipe = Recipe(batch_size=4, pool=8, **changes)
    states = (torch.arange(8.0)[:, None, None, None].expand(8, 1, 2, 2),)
    return Pool(recipe, torch.zeros(8, 4), states, torch.arange(8.0))


def test_the_worst_the_old_and_the_astray_begin_anew():
    chosen, lots = torch.tensor([1, 7, 3, 5]), torch.Generator().manual_seed(0)
    pool, empty = pool_of(), torch.full((4,), 2.0)
    assert pool.stale(chosen, empty, lots).tolist() == [False, True, False, False]
    pool = pool_of(reseeded=0, age_limit=2)
    pool.age[3] = 2
    assert pool.stale(chosen, empty, lots).tolist() == [False, False, True, False]
    pool = pool_of(reseeded=0, gate=2.0)
    pool.error[1] = torch.nan
    assert pool.stale(chosen, empty, lots).tolist() == [True, True, False, True]
    pool = pool_of(reseeds="best")
    assert pool.stale(chosen, empty, lots).tolist() == [True, False, False, False]
    pool = pool_of(reseeded=0, ranked=True)
    assert max(max(pool.draw(lots).tolist()) for _ in range(50)) == 3
    assert not pool.stale(chosen, empty, lots).any()


def test_a_pool_keeps_states_and_counts_their_age():
    pool = pool_of()
    pool.keep(torch.tensor([2, 4]), (torch.full((2, 1, 2, 2), 9.0),), torch.tensor([0.5, 0.25]))
    assert pool.states[0][[2, 4]].eq(9).all() and pool.by_age()[1] == (1, 0.375, 2)
    pool.renew(torch.tensor([2]), torch.ones(1, 4))
    assert pool.age[2] == 0 and pool.entries[2].eq(1).all()


def test_damage_is_a_disc_in_the_same_place_on_every_level():
    states = (torch.ones(3, 2, 16, 16), torch.ones(3, 2, 32, 32))
    damage(states, torch.tensor([1]), torch.Generator().manual_seed(0))
    assert states[0][[0, 2]].all() and states[1][[0, 2]].all()
    holes = [1 - s[1, 0].mean() for s in states]
    assert 0.03 < holes[0] < 0.3 and abs(holes[0] - holes[1]) < 0.05


def test_every_picture_of_the_sample_can_be_grown():
    for name in sample.NAMES:
        target = growing.placed(name, 40, 72)[0]
        rows, columns = (target[3] > 0.1).any(1), (target[3] > 0.1).any(0)
        assert max(int(rows.sum()), int(columns.sum())) in range(36, 41)
        assert (target[:3] <= target[3:] + 1e-4).all()  # premultiplied


def save(file, mode, alpha=255):
    picture = Image.new("RGBA", (20, 10), (200, 30, 30, alpha))
    picture.convert(mode).save(file)
    return str(file)


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (lambda f: save(f, "RGB"), "without alpha"),
        (lambda f: save(f, "L"), "L without alpha"),
        (lambda f: save(f, "RGBA", 0), "wholly transparent"),
        (lambda f: f.write_bytes(b"no picture") and str(f), "no picture that can be read"),
        (lambda f: f.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 40) and str(f), "no picture that"),
        (lambda f: "dragon", "one of the sample: lizard"),
    ],
)
def test_a_picture_that_cannot_be_grown_is_refused_in_one_line(tmp_path, capsys, made, says):
    words = ["--preset", "tiny", "--image", made(tmp_path / "x.png")]
    assert main(words) == 2
    told = capsys.readouterr().err
    assert says in told and told.count("\n") == 1


def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path, capsys):
    out = tmp_path / "run"
    words = ["--task", "flow", "--preset", "tiny", "--out", str(out)]
    for more, says in (
        (["--size", "27"], "cannot be divided"),
        (["--set", "picture=99"], "larger than the canvas"),
        (["--preset", "best"], "no preset 'best'"),
    ):
        assert main([*words, *more]) == 2
        assert says in capsys.readouterr().err
    assert not out.exists()


def test_a_file_whose_name_has_a_comma_is_one_picture(tmp_path):
    file = tmp_path / "a,b.png"
    sample.picture("fish").save(file)
    recipe = PRESETS["grow-tiny"]
    found, known = (
        growing.Growing(recipe.model_copy(update={"image": image})) for image in (str(file), "fish")
    )
    assert torch.equal(found.targets, known.targets)


def test_a_larger_picture_than_the_canvas_is_refused():
    with pytest.raises(ValueError, match="a picture of 80 px is larger than the canvas of 72"):
        growing.placed("lizard", 80, 72)
