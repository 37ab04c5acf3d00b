"""A fix in the terminal: what is wrong, what is tried, what is proven and what it cost."""

import math
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from unstuck.fixed import Fixed, Race, Suggestion, Yardstick
from unstuck.records import Diagnosis, Recipe, Treatment
from unstuck.report import fixed_story, story
from unstuck.report.terminal import print_finding, print_line, print_table
from unstuck.report.text import clean, counted, number

STYLES = {
    "proven": "bold green",
    "finding gone": "bold green",
    "nothing to fix": "bold green",
    "harmed": "bold red",
}
MOST_PATCH = 40  # lines shown; the file has them all


def print_brief(diagnosis: Diagnosis, out: Console) -> None:
    """The causes with their symptoms, without the list of what was not checked."""
    for cause in diagnosis.causes:
        print_finding(out, cause.finding)
        for symptom in cause.symptoms:
            print_finding(out, symptom, 4, evidence=False)
    checked = story.checked(diagnosis)
    told = checked[0].upper() + checked[1:] if diagnosis.causes else f"Nothing found: {checked}"
    print_line(out, told, style="dim")


def print_plan(
    candidates: Sequence[Treatment],
    yardstick: Yardstick | None,
    suggested: Sequence[Suggestion],
    recipe: Recipe,
    out: Console,
) -> None:
    """What will be tried and how it will be judged, written before any of it is run."""
    for treatment in candidates:
        answers = " ".join(clean(code, 20) for code in treatment.answers)
        change = ", ".join(story.changes(treatment, recipe))
        title = Text.assemble((clean(treatment.name), "bold"), f" ({answers}): {change}")
        print_line(out, title)
        print_line(out, f"expected: {clean(treatment.expectation, 500)}", 2, "dim")
    if yardstick is not None:
        line = fixed_story.judged_by(yardstick)
        print_line(out, line[0].upper() + line[1:])
    _print_suggested(suggested, out)


def print_race(race: Race, yardstick: Yardstick, out: Console) -> None:
    """Every candidate's paired differences, and why it left."""
    seeds = [s for round_seeds in race.seeds for s in round_seeds]
    what = fixed_story.raced_by(yardstick)
    print_line(out, f"{fixed_story.raced(race)}; differences of {what}, + is better")
    rows = []
    for it in race.standings:
        cells = [_difference(it.differences[s]) if s in it.differences else "" for s in seeds]
        told = fixed_story.standing(it)
        rows.append([Text(clean(it.treatment.name)), *(Text(c) for c in cells), Text(told)])
    head = ["candidate", *(f"seed {s}" for s in seeds), ""]
    print_table(out, head, rows, range(1, len(seeds) + 1))
    if race.note:
        print_line(out, race.note)


def print_fixed(fixed: Fixed, recipe: Recipe, out: Console) -> None:
    """What was proven, what was not, what was only suggested, what it cost."""
    style = STYLES.get(fixed.word, "bold yellow")
    print_line(out, fixed_story.headline(fixed), style=style)
    if fixed.confirmation is not None:
        print_line(out, fixed_story.claim(fixed.confirmation), 2)
        remark = story.remark(fixed.confirmation.verdict)
        if remark and fixed.confirmation.judging == "effect":
            print_line(out, remark, 2)
        if not fixed.settings:
            print_line(out, ", ".join(story.changes(fixed.confirmation.treatment, recipe)), 2)
    for setting in fixed.settings:
        unit = f" {clean(setting.unit, 30)}" if setting.unit else ""
        line = f"{clean(setting.name)}: {clean(setting.before, 60)} -> {clean(setting.after, 60)}"
        print_line(out, line + unit, 2)
    if fixed.again:
        print_line(out, f"train with it: {clean(fixed.again, 1000)}", 2)
    if fixed.patch_note:
        print_line(out, clean(fixed.patch_note, 300), 2)
    for line in fixed.patch.splitlines()[:MOST_PATCH]:
        print_line(out, clean(line, 300), 4, "dim")
    _print_not_proven(fixed, out)
    _print_opponent(fixed, out)
    for note in fixed.notes:
        print_line(out, clean(note, 500))
    _print_suggested(fixed.suggested, out)
    print_line(out, f"Cost: {fixed_story.cost(fixed)}")


def _print_not_proven(fixed: Fixed, out: Console) -> None:
    others = [s for s in (fixed.race.standings if fixed.race else ()) if s.left_after]
    if others:
        print_line(out, "Tried and not proven")
    for it in others:
        print_line(out, f"{clean(it.treatment.name)}: {fixed_story.standing(it)}", 2)


def _print_opponent(fixed: Fixed, out: Console) -> None:
    if fixed.opponent is None:
        return
    opponent = fixed.opponent
    told = f"Random search: {counted(opponent.drawn, 'draw')}, {counted(opponent.runs, 'run')}"
    print_line(out, told)
    if opponent.confirmation is None:
        print_line(out, opponent.note, 2)
        return
    print_line(out, f"best: {clean(opponent.confirmation.treatment.name)}", 2)
    word, claim = opponent.confirmation.word, fixed_story.claim(opponent.confirmation)
    print_line(out, f"{word}: {claim}", 2)


def _print_suggested(suggested: Sequence[Suggestion], out: Console) -> None:
    if suggested:
        print_line(out, "Only suggested")
    for it in suggested:
        text = f"{clean(it.remedy)} ({clean(it.code, 20)}): {clean(it.text, 300)}"
        print_line(out, text, 2, "dim")


def _difference(value: float) -> str:
    return "failed" if math.isnan(value) else f"{'+' * (value > 0)}{number(value, 3)}"
