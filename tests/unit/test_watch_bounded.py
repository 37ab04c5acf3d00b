"""However long a run, its record stays small, and what matters in it is kept."""

import numpy as np
import pytest

import unstuck
from unstuck.watcher import table
from unstuck.watcher.store import Store
from unstuck.watcher.thinning import kept


def thinned_as_it_grew(step, value, most):
    """The readings that are left when a series was thinned whenever it had become too long."""
    held = np.zeros(0, dtype=int)
    for i in range(len(step)):
        held = np.append(held, i)
        if len(held) > most:
            held = held[kept(step[held], value[held], most // 2)]
    return held


@pytest.fixture
def noise():
    return 1.0 + 0.1 * np.random.default_rng(0).standard_normal(20_000)


def test_no_more_is_kept_than_asked_for(noise):
    step = np.arange(len(noise))
    for most in (64, 256, 5000):
        assert most / 3 < kept(step, noise, most).sum() <= most


def test_a_run_s_shape_its_start_and_its_newest_part_are_kept(noise):
    step = np.arange(len(noise))
    value = noise + 5 * np.exp(-step / 3000)
    held = thinned_as_it_grew(step, value, 512)
    assert held[:16].tolist() == list(range(16)) and held[-1] == len(step) - 1
    assert np.diff(held)[1:-1].max() <= 4 * 20_000 / 128
    curve = np.interp(step, held, value[held])
    far = np.abs(curve - (1 + 5 * np.exp(-step / 3000)))
    assert np.median(far) < 0.15


def test_spikes_and_non_finite_spans_survive_any_number_of_thinnings(noise):
    step, value = np.arange(len(noise)), noise.copy()
    spikes = [3001, 9000, 15_555]
    value[spikes] = 40.0
    value[12_000:12_400] = np.nan
    held = set(thinned_as_it_grew(step, value, 512).tolist())
    assert held >= {*spikes, 12_000, 12_399}
    assert held & {2999, 3000, 3002, 3003}  # what a jump comes from and goes back to


def test_nothing_but_nan_is_bounded_too():
    step = np.arange(5000)
    mask = kept(step, np.full(5000, np.nan), 256)
    assert mask[0] and mask[-1] and mask.sum() <= 256


def test_a_long_record_is_bounded_and_reads_as_ever(tmp_path, monkeypatch, noise):
    monkeypatch.setattr(table, "MOST_READINGS", 600)
    noise[7000] = np.inf
    store = Store(tmp_path / "run", name="long", recipe={})
    for start in range(0, len(noise), 500):
        rows = [("loss/a", i, noise[i], float(i)) for i in range(start, start + 500)]
        store.put(lambda rows=rows: rows)
        if start % 5000 == 0:
            store.note({"part": start})
    store.close()
    series = unstuck.load(tmp_path / "run").series["loss/a"]
    assert len(series) <= 600
    assert np.all(np.diff(series.step) > 0)
    assert series.step[0] == 0 and series.step[-1] == len(noise) - 1
    assert np.isinf(series.value[series.step == 7000]).all() and 7000 in series.step
    assert np.array_equal(series.value, noise[series.step])
    assert np.array_equal(series.wall, series.step.astype(float))


def test_many_series_share_the_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(table, "MOST_OF_ALL", 40 * table.FEWEST)
    store = Store(tmp_path / "run", name="wide", recipe={})
    for i in range(0, 1200, 100):
        rows = [(f"other/{k}", j, 1.0, 0.0) for k in range(40) for j in range(i, i + 100)]
        store.put(lambda rows=rows: rows)
    store.close()
    series = unstuck.load(tmp_path / "run").series
    assert len(series) == 40
    assert sum(map(len, series.values())) <= 40 * table.FEWEST
