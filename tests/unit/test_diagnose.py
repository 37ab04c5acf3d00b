"""How findings become causes and symptoms."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from unstuck import Run, diagnose
from unstuck.catalog import detectors
from unstuck.diagnose import LATER, arranged
from unstuck.records import SEVERITIES, Evidence, Finding, Series

CODES = [d.code for d in detectors()]
STEPS = 1000


def found(code, since=0, severity="warning", where="here"):
    series = Series("loss/train", np.array([since, since + 1]), np.array([1.0, 1.0]))
    return Finding(code, where, "1", (Evidence(series, ">", 0.0, (since, since + 1)),), severity)


def codes(causes):
    return [(c.finding.code, [s.code for s in c.symptoms]) for c in causes]


def test_a_symptom_stands_under_its_cause():
    causes = arranged([found("OPT004"), found("COL004", severity="error")], STEPS)
    assert codes(causes) == [("COL004", ["OPT004"])]


def test_explanations_reach_through_other_symptoms():
    causes = arranged([found("NUM001"), found("OPT003"), found("DAT001")], STEPS)
    assert codes(causes) == [("DAT001", ["NUM001", "OPT003"])]


def test_a_cause_ranks_by_the_worst_it_stands_for():
    causes = arranged(
        [found("LOS001"), found("DAT001"), found("NUM001", severity="error"), found("GEN001")],
        STEPS,
    )
    assert codes(causes)[0] == ("DAT001", ["NUM001", "LOS001"])


def test_what_comes_much_later_is_no_cause():
    late = int(LATER * STEPS)
    plateau = found("OPT004", since=100)
    assert codes(arranged([plateau, found("COL004", since=100 + late)], STEPS)) == [
        ("COL004", ["OPT004"])
    ]
    apart = arranged([plateau, found("COL004", since=101 + late)], STEPS)
    assert sorted(codes(apart)) == [("COL004", []), ("OPT004", [])]


def test_what_is_only_worth_knowing_excuses_no_alarm():
    causes = arranged([found("OPT010", severity="info"), found("COL004", severity="error")], STEPS)
    assert codes(causes) == [("COL004", []), ("OPT010", [])]


@given(
    st.lists(
        st.tuples(st.sampled_from(CODES), st.integers(0, STEPS), st.sampled_from(SEVERITIES)),
        max_size=12,
    )
)
def test_every_finding_is_shown_exactly_once(drawn):
    findings = [found(c, s, v, where=str(i)) for i, (c, s, v) in enumerate(drawn)]
    shown = [f for c in arranged(findings, STEPS) for f in (c.finding, *c.symptoms)]
    assert sorted(f.where for f in shown) == sorted(f.where for f in findings)


def test_what_could_not_be_looked_for_is_said():
    diagnosis = diagnose(Run.of(loss__train=[1.0, 0.9, 0.8]))
    missing = {u.code: u.missing for u in diagnosis.unchecked}
    assert not diagnosis.causes
    assert missing["SKP001"] == ("reliance/*",)
    assert "NUM001" not in missing and "OPT003" not in missing
