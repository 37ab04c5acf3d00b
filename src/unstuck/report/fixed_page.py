"""A fix as one self-contained HTML page: what is proven, on what, and what it cost."""

import math
from typing import Any

from markupsafe import Markup

from unstuck.fixed import Confirmation, Fixed
from unstuck.report import fixed_story, sections, story
from unstuck.report.fixed_plot import race_plot
from unstuck.report.html import content_policy
from unstuck.report.page import asset, environment
from unstuck.report.text import clean, number
from unstuck.report.trial_plot import CLASSES, forest, pairs_by_seed

BADGES = {"proven": "healthy", "finding gone": "healthy", "nothing to fix": "healthy"}
MOST_PATCH = 400  # lines of a patch that are shown; the file has them all
LINES = {"+": "added", "-": "removed", "@": "place"}


def render(fixed: Fixed) -> str:
    """The whole page."""
    style = "\n".join(asset("unstuck.report", name) for name in ("report.css", "fixed.css"))
    script = asset("unstuck.report", "report.js")
    confirmation = fixed.confirmation
    metric = fixed_story.raced_by(fixed.yardstick) if fixed.yardstick else ""
    return (
        environment("unstuck.report")
        .get_template("fixed.html.j2")
        .render(
            title=clean(fixed.diagnosis.run.name or "training", 80),
            style=Markup(style),  # our own package data, as is the script
            script=Markup(script),
            policy=content_policy(style, script),
            fixed=fixed,
            badge=BADGES.get(fixed.word, "error" if fixed.word == "harmed" else "warning"),
            word=fixed_story.TITLES[fixed.word],
            headline=fixed_story.headline(fixed),
            claim=fixed_story.claim(confirmation) if confirmation else "",
            judged_by=fixed_story.judged_by(fixed.yardstick) if fixed.yardstick else "",
            causes=sections.causes(fixed.diagnosis)[0],
            confirmed=_confirmed(confirmation) if confirmation else None,
            race=_race(fixed, metric) if fixed.race else None,
            changes=_changes(fixed),
            settings=_settings(fixed),
            patch=_patch(fixed.patch),
            suggested=[
                (clean(s.code, 20), clean(s.remedy), clean(s.text, 300)) for s in fixed.suggested
            ],
            opponent=_opponent(fixed),
            costs=_costs(fixed),
            cost=fixed_story.cost(fixed),
        )
    )


def _confirmed(it: Confirmation) -> dict[str, Any]:
    trial = it.trial
    pairs = trial.plan.seeds
    return {
        "forest": forest(trial) if it.judging == "effect" else None,
        "pairs": pairs_by_seed(trial),
        "word": it.word,
        "kind": CLASSES.get(it.word, "open"),
        "judging": it.judging,
        "planned": len(pairs),
        "seeds": sections.seeds(trial),
        "remark": story.remark(it.verdict) if it.judging == "effect" else clean(it.note, 300),
        "confidence": f"{100 * trial.plan.confidence:g}",
        "metric": clean(trial.plan.metric, 60),
    }


def _race(fixed: Fixed, metric: str) -> dict[str, Any]:
    race = fixed.race
    if race is None:
        return {}
    seeds = [s for round_seeds in race.seeds for s in round_seeds]
    rows = [
        (
            clean(s.treatment.name),
            [_cell(s.differences, seed) for seed in seeds],
            fixed_story.standing(s),
        )
        for s in race.standings
    ]
    told = fixed_story.raced(race)
    plot = race_plot(race, metric)
    return {"plot": plot, "seeds": seeds, "rows": rows, "told": told, "note": clean(race.note, 300)}


def _cell(differences: Any, seed: int) -> str:
    if seed not in differences:
        return ""
    value = differences[seed]
    return "failed" if math.isnan(value) else f"{'+' * (value > 0)}{number(value, 3)}"


def _changes(fixed: Fixed) -> list[str]:
    if fixed.confirmation is None:
        return []
    return story.changes(fixed.confirmation.treatment, fixed.diagnosis.run.recipe)


def _settings(fixed: Fixed) -> list[tuple[str, str, str]]:
    return [
        (clean(s.name), clean(s.before, 80), f"{clean(s.after, 80)} {clean(s.unit, 30)}".rstrip())
        for s in fixed.settings
    ]


def _patch(patch: str) -> list[tuple[str, str]]:
    """Lines of a unified diff with their class; the template escapes them."""
    lines = patch.splitlines()[:MOST_PATCH]
    return [(LINES.get(line[:1], ""), clean(line, 500)) for line in lines]


def _opponent(fixed: Fixed) -> dict[str, Any] | None:
    it = fixed.opponent
    if it is None:
        return None
    confirmation = it.confirmation
    return {
        "drawn": it.drawn,
        "runs": it.runs,
        "note": clean(it.note, 300),
        "best": clean(confirmation.treatment.name, 200) if confirmation else "",
        "word": confirmation.word if confirmation else "nothing to confirm",
        "kind": CLASSES.get(confirmation.word, "open") if confirmation else "open",
        "claim": fixed_story.claim(confirmation) if confirmation else "",
    }


def _costs(fixed: Fixed) -> list[tuple[str, str, str]]:
    """(stage, runs, seconds of training)."""
    rows = [("Race", fixed.race.runs, fixed.race.seconds)] if fixed.race else []
    if fixed.confirmation:
        done = len(fixed.confirmation.trial.outcomes)
        rows.append(("Confirmation", done, fixed.confirmation.seconds))
    if fixed.opponent:
        rows.append(("Random search", fixed.opponent.runs, fixed.opponent.seconds))
        if fixed.opponent.confirmation:
            confirmation = fixed.opponent.confirmation
            runs = len(confirmation.trial.outcomes)
            rows.append(("Confirmation of random search", runs, confirmation.seconds))
    return [(name, f"{runs:,}", f"{seconds:,.1f}") for name, runs, seconds in rows]
