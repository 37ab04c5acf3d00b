"""Every source in unstuck/sources gets every check, with no list to keep up to date."""

import random
import tempfile
import time
from pathlib import Path

import pytest
import source_contract as contract
from mutations import wounded

from unstuck import diagnose

MUTATIONS = 150  # of each source here; `make fuzz` makes 10,000
SLOWEST = 5.0  # seconds for one damaged log


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda c: c.__name__.removeprefix("check_"))
@pytest.mark.parametrize("source", contract.every_source(), ids=lambda s: s.name)
def test_contract(source, check):
    check(source)


@pytest.mark.parametrize("source", contract.every_source(), ids=lambda s: s.name)
def test_damaged_logs_give_runs_or_one_line(source):
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        copies = [contract.copied(s, folder) for s in contract.samples(source)]
        for _ in range(MUTATIONS):
            sample = rng.choice(copies)
            file, damaged = wounded(contract.files_of(sample), rng)
            whole = file.read_bytes()
            file.write_bytes(damaged)
            began = time.perf_counter()
            for run in contract.answer(Path(sample)):
                diagnose(run)
            assert time.perf_counter() - began < SLOWEST
            file.write_bytes(whole)


def test_names_are_unique_and_those_of_their_files():
    names = [s.name for s in contract.every_source()]
    assert len(names) == len(set(names))
    for source in contract.every_source():
        assert source.read.__module__.rsplit(".", 1)[1] == source.name.replace("-", "_")
