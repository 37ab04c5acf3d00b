"""Every remedy in unstuck/remedies gets every check, with no list to keep up to date."""

import pytest
from remedy_contract import CHECKS

from unstuck import catalog


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__.removeprefix("check_"))
@pytest.mark.parametrize("remedy", catalog.remedies(), ids=lambda r: r.name)
def test_contract(remedy, check):
    check(remedy)
