"""Every probe of the folder keeps the contract; walked, no list."""

import doctest
import sys

import pytest
from probe_contract import (
    SUBJECTS,
    check_facts,
    check_interrupted,
    check_page,
    check_untouched,
)

from unstuck import catalog
from unstuck.experiment import Probe

EVERY = pytest.mark.parametrize("probe", catalog.probes(), ids=lambda probe: probe.name)
MADE = pytest.mark.parametrize("make", SUBJECTS, ids=lambda make: make.__name__)


@EVERY
def test_the_page_is_complete_and_its_example_runs(probe: Probe) -> None:
    check_page(probe)
    module = sys.modules[probe.function.__module__]
    failed, tried = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert tried and not failed


@EVERY
@MADE
def test_facts_are_of_the_glossary(probe: Probe, make) -> None:
    check_facts(probe, make)


@EVERY
@MADE
def test_nothing_is_left_of_it(probe: Probe, make) -> None:
    check_untouched(probe, make)


@EVERY
@MADE
@pytest.mark.parametrize("at", [1, 5, 9])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_left_of_one_that_is_broken_off(probe: Probe, make, at: int, error) -> None:
    check_interrupted(probe, make, at, error)
