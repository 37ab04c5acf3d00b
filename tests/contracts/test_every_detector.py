"""Every detector in unstuck/detectors gets every check, with no list to keep up to date."""

import importlib
from graphlib import TopologicalSorter

import pytest
from detector_contract import CHECKS

from unstuck import catalog


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__.removeprefix("check_"))
@pytest.mark.parametrize("detector", catalog.detectors(), ids=lambda d: d.code)
def test_contract(detector, check):
    check(detector)


@pytest.mark.parametrize("detector", catalog.detectors(), ids=lambda d: d.code)
def test_file_is_named_after_the_pathology(detector):
    importlib.import_module(f"unstuck.detectors.{detector.name.replace('-', '_')}")


def test_codes_are_unique():
    codes = [d.code for d in catalog.detectors()]
    assert len(codes) == len(set(codes))


def test_explanations_form_no_circle_and_name_known_codes():
    explains = {d.code: set(d.explains) for d in catalog.detectors()}
    assert set().union(*explains.values()) <= explains.keys()
    tuple(TopologicalSorter(explains).static_order())  # raises CycleError
