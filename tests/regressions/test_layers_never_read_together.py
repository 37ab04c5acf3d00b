"""Seen on the course's `search` and `transfer`: one network trained by one optimizer after another.

Its layers, taken from the first optimizer that moved each, had no step in common, and the medians
over none of them warned.
"""

import numpy as np

from unstuck import Run, Series, diagnose


def test_layers_without_a_common_step_are_no_vanishing_gradient():
    series = {}
    for i in range(6):
        name = f"grad_norm/adam{'' if i < 3 else '.2'}/net.layer{i}"
        steps = np.arange(20) * 16 + (0 if i < 3 else 1000)
        series[name] = Series(name, steps, np.full(20, 10.0 ** (i - 6)))
    assert diagnose(Run(series)).findings == ()
