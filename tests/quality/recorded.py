"""Recorded runs back as Runs."""

import gzip
import json
from dataclasses import replace

import numpy as np

from unstuck import Run, Series


def read(path):
    """The content of one gzipped JSON file of tests/runs."""
    return json.loads(gzip.decompress(path.read_bytes()))


def run_of(kept):
    series = {
        name: Series(name, np.array(step), np.array([float(v) for v in value]))
        for name, (step, value) in kept["series"].items()
    }
    return Run(series, kept.get("recipe", {}), kept["facts"], name=kept["name"])


def until(run, share):
    """The run as it was when `share` of it was done."""
    last = share * run.last_step
    young = {
        n: Series(n, s.step[s.step <= last], s.value[s.step <= last]) for n, s in run.series.items()
    }
    return replace(run, series=young)
