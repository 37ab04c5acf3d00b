"""A fix as JSON that other programs may rely on: schema `unstuck.fix/1`."""

import json
import math
from collections.abc import Sequence
from typing import Any

from unstuck.fixed import Confirmation, Fixed, Opponent, Race, Suggestion
from unstuck.report import as_json, fixed_story
from unstuck.report.text import clean

SCHEMA = "unstuck.fix/1"


def to_dict(fixed: Fixed) -> dict[str, Any]:
    """Plain dicts, lists, text, numbers; what is not finite as null."""
    yardstick = fixed.yardstick
    return {
        "schema": SCHEMA,
        "script": clean(fixed.script, 2000),
        "word": fixed.word,
        "headline": fixed_story.headline(fixed),
        "judged_by": None
        if yardstick is None
        else {
            "metric": clean(yardstick.metric),
            "higher_is_better": yardstick.higher_is_better,
            "kind": yardstick.kind,
            "why": clean(yardstick.why, 500),
        },
        "candidates": [as_json.treatment(t) for t in fixed.candidates],
        "suggested": _suggested(fixed.suggested),
        "race": _race(fixed.race) if fixed.race else None,
        "confirmation": _confirmation(fixed.confirmation) if fixed.confirmation else None,
        "against_random": _opponent(fixed.opponent) if fixed.opponent else None,
        "settings": [
            {"name": clean(s.name), "before": clean(s.before), "after": clean(s.after)}
            for s in fixed.settings
        ],
        "again": clean(fixed.again, 2000),
        "patch": fixed.patch,
        "patch_note": clean(fixed.patch_note, 500),
        "notes": [clean(note, 500) for note in fixed.notes],
        "cost": {"runs": fixed.runs, "seconds": round(fixed.seconds, 3)},
        "diagnosis": as_json.to_dict(fixed.diagnosis),
    }


def dumps(fixed: Fixed) -> str:
    return json.dumps(to_dict(fixed), indent=2, allow_nan=False) + "\n"


def _suggested(suggested: Sequence[Suggestion]) -> list[dict[str, str]]:
    return [
        {"code": clean(s.code), "remedy": clean(s.remedy), "text": clean(s.text, 500)}
        for s in suggested
    ]


def _race(race: Race) -> dict[str, Any]:
    return {
        "seeds": [list(seeds) for seeds in race.seeds],
        "untreated": {str(seed): _number(v) for seed, v in race.untreated.items()},
        "standings": [
            {
                "treatment": clean(s.treatment.name),
                "differences": {str(seed): _number(v) for seed, v in s.differences.items()},
                "failed": s.failed,
                "left_after": s.left_after,
                "why": s.why,
            }
            for s in race.standings
        ],
        "runs": race.runs,
        "seconds": round(race.seconds, 3),
        "note": race.note,
    }


def _confirmation(it: Confirmation) -> dict[str, Any]:
    ranks = it.ranks
    return {
        "treatment": as_json.treatment(it.treatment),
        "judging": it.judging,
        "word": it.word,
        "claim": fixed_story.claim(it),
        "ranks": None
        if ranks is None
        else {
            "better": ranks.better,
            "worse": ranks.worse,
            "same": ranks.same,
            "p": ranks.p,
            "median": _number(ranks.median),
            "low": _number(ranks.low),
            "high": _number(ranks.high),
        },
        "note": clean(it.note, 500),
        "trial": as_json.trial_of(it.trial),
        "seconds": round(it.seconds, 3),
    }


def _opponent(it: Opponent) -> dict[str, Any]:
    return {
        "drawn": it.drawn,
        "runs": it.runs,
        "seconds": round(it.seconds, 3),
        "confirmation": _confirmation(it.confirmation) if it.confirmation else None,
        "note": it.note,
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
