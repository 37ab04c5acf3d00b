"""UNSTUCK_SEED: unchanged scripts train anew for every seed, and equally for the same one."""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, RandomSampler, TensorDataset, random_split

import unstuck
from unstuck.watcher import launch
from unstuck.watcher.seeding import Seeding, shifted

SCRIPT = """
import os, random
import numpy as np
import torch
{seeds}
generator = torch.Generator(){generator}
data = torch.randn(64, 3, generator=generator) if {generator!r} else torch.randn(64, 3)
model = torch.nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loader = torch.utils.data.DataLoader(data, 16, shuffle=True)
for x in loader:
    optimizer.zero_grad()
    loss = model(x).square().mean()
    loss.backward()
    optimizer.step()
assert "UNSTUCK_SEED" not in os.environ
print(float(loss.detach()), np.random.rand(), np.random.default_rng().random(), random.random())
"""


def printed(script: Path, seed: int | None, folder: Path) -> str:
    env = launch.environment(folder, seed=seed)
    done = subprocess.run(
        [sys.executable, str(script)], env=env, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout


@pytest.fixture
def script(tmp_path: Path) -> Path:
    file = tmp_path / "train.py"
    seeds = "torch.manual_seed(0); np.random.seed(0); random.seed(0)"
    file.write_text(SCRIPT.format(seeds=seeds, generator=".manual_seed(3)"))
    return file


def test_a_script_with_seeds_of_its_own_trains_anew_for_every_seed(
    script: Path, tmp_path: Path
) -> None:
    found = [printed(script, n, tmp_path / str(i)) for i, n in enumerate((1, 1, 2))]
    assert found[0] == found[1]
    assert all(a != b for a, b in zip(found[0].split(), found[2].split(), strict=True))
    run = unstuck.load(tmp_path / "2")
    assert isinstance(run, unstuck.Run)
    assert run.facts["seed/shifted"] == 2


def test_seed_0_leaves_the_seeds_of_a_script_as_they_are(script: Path, tmp_path: Path) -> None:
    alone = subprocess.run([sys.executable, str(script)], capture_output=True, text=True).stdout
    followed = printed(script, 0, tmp_path / "run")
    of_the_system = 2  # default_rng() without a seed
    for place, (a, b) in enumerate(zip(alone.split(), followed.split(), strict=True)):
        assert (a == b) == (place != of_the_system)


def test_a_script_that_never_seeds_follows_the_seed(tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text(SCRIPT.format(seeds="", generator=""))
    found = [printed(file, n, tmp_path / str(i)) for i, n in enumerate((0, 0, 5))]
    assert found[0] == found[1]
    assert all(a != b for a, b in zip(found[0].split(), found[2].split(), strict=True))


@pytest.fixture
def seeding() -> Iterator[Seeding]:
    kept = torch.get_rng_state(), np.random.get_state(), random.getstate()
    at_work = Seeding(4)
    at_work.start()
    yield at_work
    at_work.stop()
    torch.set_rng_state(kept[0])
    np.random.set_state(kept[1])
    random.setstate(kept[2])


def test_every_way_to_seed_is_shifted_by_the_same_rule(seeding: Seeding) -> None:
    torch.manual_seed(7)
    assert torch.initial_seed() == shifted(7, 4) != 7
    assert torch.Generator().manual_seed(7).initial_seed() == shifted(7, 4)
    np.random.seed(seed=7)
    drawn = np.random.rand()
    by_hand = np.random.RandomState(shifted(7, 4))
    assert drawn == by_hand.rand()
    random.seed(7)
    assert random.random() == random.Random(shifted(7, 4)).random()
    assert np.random.default_rng(7).random() != np.random.default_rng(8).random()
    assert np.random.default_rng([1, 2]).random() != np.random.default_rng([1, 3]).random()
    random.seed("words stay words")
    assert random.random() == random.Random("words stay words").random()


def test_what_torch_seeds_itself_is_not_shifted_again(seeding: Seeding) -> None:
    torch.manual_seed(1)
    first = list(RandomSampler(range(20)))
    seeding.stop()
    torch.manual_seed(shifted(1, 4))
    assert list(RandomSampler(range(20))) == first


def test_a_generator_is_one_everywhere(seeding: Seeding) -> None:
    generator = torch.Generator("cpu").manual_seed(1)
    assert isinstance(generator, torch.Generator)
    assert isinstance(torch.default_generator, torch.Generator)
    random_split(range(10), [5, 5], generator)
    data = TensorDataset(torch.arange(8))
    assert len(list(DataLoader(data, 2, shuffle=True, generator=generator))) == 4
    torch.nn.init.normal_(torch.empty(3), generator=generator)
    assert torch.Generator | None


def test_nothing_of_it_stays() -> None:
    kept = torch.get_rng_state(), np.random.get_state(), random.getstate()
    holders = [(torch, "manual_seed"), (torch, "Generator"), (random, "seed")]
    holders += [(np.random, "seed"), (np.random, "default_rng"), (torch.random, "manual_seed")]
    before = [getattr(holder, name) for holder, name in holders]
    seeding = Seeding(1)
    seeding.start()
    try:
        during = [getattr(holder, name) for holder, name in holders]
    finally:
        seeding.stop()
        torch.set_rng_state(kept[0])
        np.random.set_state(kept[1])
        random.setstate(kept[2])
    after = [getattr(holder, name) for holder, name in holders]
    assert all(d is not b for d, b in zip(during, before, strict=True))
    assert all(a is b for a, b in zip(after, before, strict=True))


def test_a_function_that_was_wrapped_in_one_place_is_replaced_in_both(monkeypatch) -> None:
    plain = torch.random.manual_seed
    monkeypatch.setattr(torch, "manual_seed", lambda seed: plain(seed))
    state, seeding = torch.get_rng_state(), Seeding(1)
    seeding.start()
    try:
        assert torch.random.manual_seed is not plain
        found = [torch.manual_seed(3).initial_seed(), torch.random.manual_seed(3).initial_seed()]
    finally:
        seeding.stop()
        torch.set_rng_state(state)
    assert found == [shifted(3, 1)] * 2 and torch.random.manual_seed is plain


def test_the_variable_is_read_and_what_is_no_seed_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNSTUCK_SEED", "12")
    env = launch.environment(tmp_path / "run")
    assert '"seed": 12' in env["UNSTUCK_RECORD"]
    assert "UNSTUCK_SEED" not in env
    for bad in ("", "-1", "1.5", "x" * 100, "9" * 40, "²"):
        monkeypatch.setenv("UNSTUCK_SEED", bad)
        with pytest.raises(ValueError, match="whole number") as said:
            launch.environment(tmp_path / "run")
        assert "\n" not in str(said.value)
        assert len(str(said.value)) < 120


def test_the_command_refuses_a_bad_seed(tmp_path: Path, script: Path) -> None:
    command = [sys.executable, "-m", "unstuck", "run", "--out", str(tmp_path / "r"), str(script)]
    env = {**os.environ, "UNSTUCK_SEED": "soon"}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 2
    assert "UNSTUCK_SEED='soon'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "r").exists()
