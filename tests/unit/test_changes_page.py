"""The page of live changes: every kind with the text of its file and an example that is one."""

import importlib.util
from pathlib import Path

from unstuck.changes import KINDS, parsed

SCRIPT = Path(__file__).parents[2] / "scripts" / "build_docs.py"


def build_docs():
    spec = importlib.util.spec_from_file_location("build_docs", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_kind_has_a_row_with_an_example_that_can_be_asked_for():
    build = build_docs()
    page = build.live_changes()
    for kind in KINDS:
        example = build.example(kind)
        name, _, value = example.partition("=")
        assert parsed({name: value})[name].kind == kind.name
        assert f"| `{kind.name}/{kind.where}` |" in page
        assert f"`{example}`" in page


def test_every_kind_has_the_text_of_the_file_that_carries_it_out():
    told = build_docs().told_of_kinds()
    assert sorted(k for names in told for k in names.split(", ")) == sorted(k.name for k in KINDS)
    assert all(text.startswith(f"{names.split(', ')[0]}/") for names, text in told.items())
