"""Every recorded run gets treatments that fit it, of the likeliest cause first."""

import re
import sys
from functools import cache
from pathlib import Path

from corpus import recorded

from unstuck import catalog, diagnose
from unstuck.prescribe import prescribe

sys.path.append(str(Path(__file__).resolve().parent.parent / "contracts"))
from remedy_contract import assert_sound, exists

ACTING = 55  # codes of 82 that have a remedy which acts; the others ask for another model or data


@cache
def diagnosed():
    """The small runs, and the first seed of the course's."""
    chosen = (r for r in recorded() if not r.name.startswith("course/") or r.name.endswith(" 0"))
    return [(one, diagnose(one.run)) for one in chosen]


def test_treatments_of_recorded_runs_change_only_what_is_in_them():
    told = 0
    for one, diagnosis in diagnosed():
        for finding in diagnosis.findings:
            for remedy in catalog.remedies():
                if finding.code in remedy.answers:
                    treatments = remedy(one.run, finding)
                    assert_sound(remedy, one.run, finding.code, treatments)
                    told += len(treatments)
    assert told > 200


def test_most_codes_have_a_remedy_that_acts():
    acting = {c for r in catalog.remedies() if r.safety != "advice" for c in r.answers}
    assert len(acting) >= ACTING, sorted({d.code for d in catalog.detectors()} - acting)


def test_most_planted_codes_are_answered_by_a_treatment():
    """Where the code's remedy acts, the runs that show it are offered something to try."""
    acting = {c for r in catalog.remedies() if r.safety != "advice" for c in r.answers}
    answered: dict[str, list[bool]] = {}
    for one, diagnosis in diagnosed():
        if one.planted and not one.healthy and one.planted[0] in acting:
            treatments = prescribe(diagnosis)
            answered.setdefault(one.planted[0], []).append(bool(treatments))
    shares = {code: sum(found) / len(found) for code, found in answered.items()}
    silent = {code for code, share in shares.items() if share == 0}
    assert len(silent) <= len(shares) / 5, sorted(silent)


def test_the_remedy_a_page_names_first_is_tried_first():
    for one, diagnosis in diagnosed():
        treatments = prescribe(diagnosis)
        for cause in diagnosis.causes[:1]:
            page = next(d.page for d in catalog.detectors() if d.code == cause.finding.code)
            named = re.findall(r"`([a-z0-9-]+)`", page.split("## What to try")[1].split("##")[0])
            mine = [t.remedy for t in treatments if t.answers == (cause.finding.code,)]
            places = [named.index(name) for name in dict.fromkeys(mine)]
            assert places == sorted(places)
            assert all(exists(one.run, c) for t in treatments for c in t.changes)
