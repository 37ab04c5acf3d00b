"""The page of the study: counts, then a row for every fault."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unstuck import atomic

INTRODUCTION = """# Study: remedies for the project's own faults

Every sick small training of `scripts/trainings/` (one process) and every fault of the contrast case
is given to `unstuck fix` as a script (`scripts/fault.py NAME`). It watches and diagnoses it, races
at most 4 treatments over seeds from 1 on, and confirms the winner with at most 8 pairs on seeds
from 1001 on. Random search turns the same knobs with as many runs and has the same confirmation.
What is proven is run once more on seeds 3001 to 3006, which nobody has seen: *hurts* is worse
there in more pairs than better. *Proven* is a number with its interval; where no number can be
compared (two losses of a game, a loss that is itself repaired) it is only said whether the finding
is *gone*, and that is counted apart. Which number is used is settled before any result: the rule
of `unstuck fix`, else the table in `scripts/study_fix_faults.py`.

    make study-fix
"""
GOOD = ("proven", "finding gone")
Row = dict[str, Any]


def write(page: Path, rows: Sequence[Row], planned: int) -> None:
    """Write the page from what is done so far."""
    done = sorted(
        (r for r in rows if r["word"] != "failed"), key=lambda r: (r["planted"], r["name"])
    )
    parts = [INTRODUCTION, f"{len(done)} of {planned} faults are done.\n", _counts(done)]
    parts += [_table("Faults with a treatment", [r for r in done if r["candidates"]])]
    parts += [_untreated([r for r in done if not r["candidates"]])]
    atomic.write_text(page, "\n".join(parts))
    print(_counts(done))


def _counts(done: Sequence[Row]) -> str:
    answered = [r for r in done if r["answered"]]
    groups = {
        "all faults": done,
        "faults with a treatment to try": [r for r in done if r["candidates"]],
        "faults whose first cause has one": answered,
        "... judged by a number": [r for r in answered if r["kind"] != "none"],
        "... judged by the finding alone": [r for r in answered if r["kind"] == "none"],
    }
    lines = [
        "| group | faults | proven | finding gone | proven to harm | hurts on fresh seeds "
        "| random search: proven | gone |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, rows in groups.items():
        ours, theirs = [r["word"] for r in rows], [_random_word(r) for r in rows]
        told = [_share(ours, word) for word in (*GOOD, "harmed")]
        told += [str(sum(_hurts(r) for r in rows)), *(_share(theirs, word) for word in GOOD)]
        lines.append(f"| {name} | {len(rows)} | {' | '.join(told)} |")
    runs, hours = sum(r["runs"] for r in done), sum(r["wall"] for r in done) / 3600
    return "\n".join([*lines, "", f"{runs:,} runs, {hours:.1f} hours of one core.", ""])


def _share(words: Sequence[str], word: str) -> str:
    count = words.count(word)
    return f"{count} ({100 * count / len(words):.0f} %)" if words else "0"


def _random_word(row: Row) -> str:
    found = row["random"]
    if found is None or found["word"] != "helped":
        return "not proven"
    return "finding gone" if found["judging"] == "finding" else "proven"


def _hurts(row: Row) -> bool:
    again = row["again"]
    return bool(again) and again["worse"] > again["better"]


def _table(title: str, rows: Sequence[Row]) -> str:
    lines = [
        f"## {title}\n",
        "| fault | planted | first cause | judged by | treatment | came of it | effect (interval) "
        "| pairs | again: better, worse | random search |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        fix, again = row["fix"], row["again"]
        cells = [
            row["name"],
            row["planted"],
            (row["causes"] or ["-"])[0],
            "finding" if row["kind"] == "none" else row["metric"],
            fix["treatment"] if fix else "no candidate better than nothing",
            row["word"],
            _effect(fix),
            str(fix["pairs"]) if fix else "",
            f"{again['better']}, {again['worse']}" if again else "",
            _of_random(row),
        ]
        lines.append(f"| {' | '.join(c.replace('|', '/') for c in cells)} |")
    return "\n".join([*lines, ""])


def _of_random(row: Row) -> str:
    found = row["random"]
    if found is None:
        return str(row["random_note"])
    changes = ", ".join(f"{name} {value}" for name, value in found["changes"].items())
    return f"{_random_word(row)}: {changes} {_effect(found)}"


def _effect(found: Row | None) -> str:
    if found is None:
        return ""
    if found["judging"] != "effect":
        return str(found["note"].partition(";")[0])
    return f"{found['effect']:+.3g} ({found['low']:.3g} to {found['high']:.3g})"


def _untreated(rows: Sequence[Row]) -> str:
    lines = ["## Faults without a treatment\n", "Only a person can change what is wrong here.\n"]
    lines += ["| fault | planted | first cause |", "|---|---|---|"]
    lines += [f"| {r['name']} | {r['planted']} | {(r['causes'] or ['-'])[0]} |" for r in rows]
    return "\n".join([*lines, ""])
