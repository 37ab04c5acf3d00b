import io
import re

import numpy as np
import pytest
import report_sample as sample
from rich.console import Console

from unstuck.records import Cause, Diagnosis, Evidence, Finding, Outcome, Run, Series, Trial
from unstuck.report import explain, story, terminal

HOSTILE = "loss/<script>alert(1)</script>\x1b[2J\x1b]8;;http://x\x07[bold red]\n\u202eevil"
BOX = re.compile("[\u2500-\u259f]")


@pytest.fixture(autouse=True)
def _names(monkeypatch):
    """The codes of the sample, whether or not their detectors exist yet."""
    monkeypatch.setattr(story, "names", lambda: sample.NAMES)


def shown(show, *args, width=80, terminal=True, **options) -> str:
    stream = io.StringIO()
    console = Console(
        file=stream,
        width=width,
        force_terminal=terminal,
        no_color=True,
        highlight=False,
        color_system=None,
    )
    show(*args, console=console, **options)
    return stream.getvalue()


def test_the_headline_comes_first_with_code_name_place_and_number():
    first = shown(terminal.print_diagnosis, sample.diagnosis(), terminal=False).splitlines()[0]
    assert first == (
        "error COL004 collapsed-embedding: model.encoder.to_latent spreads 0.1% of its start over "
        "the batch since step 74"
    )


def test_symptoms_are_indented_under_their_cause_and_further_causes_follow():
    lines = shown(terminal.print_diagnosis, sample.diagnosis(), terminal=False).splitlines()
    at = {
        code: next(i for i, line in enumerate(lines) if code in line)
        for code in ("COL004", "OPT004", "SKP001", "LOS002", "ACT001")
    }
    assert list(at.values()) == sorted(at.values())
    assert lines[at["OPT004"] - 1].strip() == "explained by this:"
    assert lines[at["OPT004"]].startswith("    OPT004 loss-plateau")
    assert lines[at["LOS002"]].startswith("info LOS002")


def test_what_was_not_checked_is_grouped_by_what_was_missing():
    text = shown(terminal.print_diagnosis, sample.diagnosis())
    assert "4 pathologies looked for, 4 not checked" in text
    assert "  ADV001 ADV002: no loss/d*, loss/g*\n" in text


def test_nothing_is_wider_than_the_terminal_and_nothing_needs_colour():
    texts = [
        shown(terminal.print_diagnosis, sample.diagnosis(), treatments=sample.treatments()),
        shown(terminal.print_trial, sample.trial()),
        shown(terminal.print_series, sample.run()),
    ]
    for text in texts:
        assert max(map(len, text.splitlines())) <= 80
        assert "\x1b" not in text
        assert not BOX.search(text)


def test_a_pipe_keeps_each_row_on_one_line():
    text = shown(terminal.print_series, sample.run(), terminal=False, width=40)
    row = next(line for line in text.splitlines() if line.startswith(sample.LATENT))
    assert row.split() == [sample.LATENT, "1", "250", "0.1014", "8.851e-5"]


def test_the_healthy_line_says_how_much_was_looked_for():
    it = Diagnosis(sample.run(), (), sample.diagnosis().unchecked)
    first = shown(terminal.print_diagnosis, it).splitlines()[0]
    assert first == "Nothing found: 4 pathologies looked for, 4 not checked"


def test_what_to_try_names_the_change_and_what_is_expected():
    text = shown(terminal.print_diagnosis, sample.diagnosis(), treatments=sample.treatments())
    assert "lower-content-weight (COL004): weight/loss/content \N{MULTIPLICATION SIGN} 0.05" in text
    assert "cross_strategy no_skip → predictor" in text
    assert "expected: slower collapse, no cure" in text


def test_each_verdict_shows_effect_unit_interval_word_and_the_finding():
    lines = shown(terminal.print_trial, sample.trial()).splitlines()
    row = next(line for line in lines if line.startswith("lower-content-weight"))
    assert re.split(r"\s{2,}", row.strip()) == [
        "lower-content-weight",
        "+3.6 dB",
        "3.1 to 4.1",
        "helped",
        "lost in 5 of 5",
    ]
    assert any("4 further pairs would settle it" in line for line in lines)
    assert any("5 pairs each" in line for line in lines)


def test_pairs_get_a_column_where_they_differ_and_failures_are_told():
    trial = sample.trial()
    few = [type(v)(**{**_fields(v), "pairs": 3 + i}) for i, v in enumerate(trial.verdicts)]
    failed = Outcome("baseline", 7, error="MemoryError\x1b[31m")
    text = shown(terminal.print_trial, Trial(trial.plan, (failed,), tuple(few)), width=120)
    assert "pairs" in next(line for line in text.splitlines() if "treatment" in line)
    assert r"baseline, seed 7, failed: MemoryError\x1b[31m" in text


def _fields(verdict):
    return {name: getattr(verdict, name) for name in verdict.__dataclass_fields__}


def test_hostile_names_cannot_steer_the_terminal():
    series = Series(HOSTILE, [0, 1], [1.0, 9.0])
    evidence = Evidence(series, ">", 2.0, (1, 1))
    finding = Finding("OPT003", HOSTILE, f"{HOSTILE} is 9", (evidence,), "error")
    run = Run({HOSTILE: series}, roles={HOSTILE: HOSTILE})
    text = shown(terminal.print_diagnosis, Diagnosis(run, (Cause(finding),)))
    text += shown(terminal.print_series, run)
    assert not set("\x1b\x07\u202e") & set(text)
    assert "[boldred]" in "".join(text.split())


def test_a_name_of_a_million_characters_is_shortened():
    name = "loss/" + "x" * 1_000_000
    run = Run({name: Series(name, np.arange(2), [1.0, 2.0])})
    assert len(shown(terminal.print_series, run)) < 2_000


def test_a_page_in_a_pipe_is_printed_as_it_is_written():
    page = "ACT001 dead-units: silent\n\n## Example\n>>> 1 + 1\n2\n\nmore\n"
    assert shown(terminal.print_explain, page, terminal=False) == page
    assert "```python\n>>> 1 + 1\n2\n```\n" in explain.with_fences(page)
    text = shown(terminal.print_explain, page)
    assert ">>> 1 + 1" in text and "##" not in text and not BOX.search(text)
