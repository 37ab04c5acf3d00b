"""docs/course.md and its pictures, and the `Expected:` lines of the items, from finished runs."""

import re
import shutil
import textwrap
from pathlib import Path

import course_syllabus
from course_results import Item
from course_syllabus import covers, entries
from PIL import Image

from unstuck.cases import course
from unstuck.cases.course.item import spread

SOURCES = Path(course.__file__).parent
WIDTH = 99
# the README's sheet: what can be recognised when small
SHOWN = (
    "rectified_flow",
    "saliency",
    "captioning",
    "latent_diffusion",
    "nerf",
    "implicit_shape",
    "segmentation",
    "knn",
    "detector",
)
COLUMNS, CELL, GAP = 3, (400, 230), 12  # px
INTRODUCTION = """\
# The vision course

{items} small models, each trained well by default and made sick on demand. Every number below is
from `make course`: {seeds} seeds a form, mean +- standard deviation over seeds, one core a run,
processor seconds of the slowest healthy seed. A fault is one change of the recipe; its harm is the
paired difference over seeds with its 95 % interval, positive where it does the harm it should. The
last column says how often a diagnosis named one of the fault's codes first (codes in italics have
no detector yet).

    unstuck case list course
    unstuck case run course/cnn --seed 1 --fault dead-relu
    python -m unstuck.cases.course cnn --seeds 5              # the numbers of one item

{covered} of the {entries} entries of the course's chapters ({share:.0%}) and {modes_covered} of its
{modes} failure modes have an item; {tested} more entries are settled by a test alone. Every entry
marked `exact` has its test. What was decided about doubtful places stands
[beside it](course-decisions.md).
"""


def write(results: list[Item], root: Path) -> None:
    for one in results:
        _expect(one)
    pictures = root / "docs" / "course"
    pictures.mkdir(parents=True, exist_ok=True)
    for one in results:
        for name in ("picture.png", "clip.gif"):
            made = one.healthy.folders[0] / name
            if made.exists():
                shutil.copyfile(made, pictures / f"{one.name}{made.suffix}")
    (root / "docs" / "course.md").write_text(page(results))
    there = [pictures / f"{name}.png" for name in SHOWN if (pictures / f"{name}.png").exists()]
    _sheet(there, pictures / "sheet.png")


def _sheet(files: list[Path], out: Path) -> None:
    """Some pictures side by side, each shrunk into its cell."""
    rows = -(-len(files) // COLUMNS)
    size = (COLUMNS * (CELL[0] + GAP) - GAP, rows * (CELL[1] + GAP) - GAP)
    sheet = Image.new("RGB", size, "white")
    for i, file in enumerate(files):
        small = Image.open(file).convert("RGB")
        small.thumbnail(CELL)
        left = i % COLUMNS * (CELL[0] + GAP) + (CELL[0] - small.width) // 2
        top = i // COLUMNS * (CELL[1] + GAP) + (CELL[1] - small.height) // 2
        sheet.paste(small, (left, top))
    sheet.quantize(128).save(out, optimize=True)


def page(results: list[Item]) -> str:
    rows, settled = entries(), course_syllabus.settled()
    covering: dict[str, list[Item]] = {row["id"]: [] for row in rows}
    for one in results:
        for entry in covers(one.module):
            covering[entry].append(one)
    chapters = [r for r in rows if r["section"].startswith("Chapter")]
    modes = [r for r in rows if r["section"].startswith("Failure")]
    covered = sum(bool(covering[r["id"]]) for r in chapters)
    parts = [
        INTRODUCTION.format(
            items=len(results),
            seeds=max(len(one.healthy.metrics) for one in results),
            covered=covered,
            entries=len(chapters),
            share=covered / len(chapters),
            modes_covered=sum(bool(covering[r["id"]]) for r in modes),
            tested=sum(r["id"] in settled and not covering[r["id"]] for r in chapters),
            modes=len(modes),
        ),
        _overview(results),
    ]
    for section in dict.fromkeys(row["section"] for row in chapters + modes):
        inside = [row for row in rows if row["section"] == section]
        parts.append(_section(section, inside, covering, settled))
    parts.append("## The items\n")
    parts += [_item(one) for one in results]
    return "\n".join(parts)


def _overview(results: list[Item]) -> str:
    lines = ["| item | metric | trivial answer | seconds |", "|---|---|---|---|"]
    for one in results:
        numbers = [_measured(one), _mean(one, "baseline"), f"{one.seconds:.0f}"]
        lines.append(f"| {' | '.join([_link(one), *numbers])} |")
    lines += ["", "| item | fault | harm (95 %) | named first |", "|---|---|---|---|"]
    for one in results:
        for name in one.faults:
            row = [_link(one), name, _harm(one, name), _named(one, name)]
            lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


def _link(one: Item) -> str:
    return f"[{one.name}](#{one.name})"


def _section(
    title: str,
    rows: list[dict[str, str]],
    covering: dict[str, list[Item]],
    settled: set[str],
) -> str:
    found = [row for row in rows if covering[row["id"]]]
    tested = [row for row in rows if not covering[row["id"]] and row["id"] in settled]
    missing = [row for row in rows if not covering[row["id"]] and row["id"] not in settled]
    lines = [f"## {title}\n"]
    if found:
        lines += ["| entry | | items and what they reach |", "|---|---|---|"]
    for row in found:
        items = ", ".join(f"{_link(one)} {_measured(one)}" for one in covering[row["id"]])
        marks = f" ({row['marks'].replace(',', ', ')})" if row["marks"] else ""
        lines.append(f"| {row['id']} | {_plain(row['title'])}{marks} | {items} |")
    lines.append(f"\n{len(found)} of {len(rows)} have an item.")
    for said, left in (("Settled by a test alone", tested), ("Not covered yet", missing)):
        if left:
            names = ", ".join(f"{row['id']} {_plain(row['title'])}" for row in left)
            lines.append("\n" + textwrap.fill(f"{said}: {names}.", WIDTH))
    return "\n".join(lines) + "\n"


def _item(one: Item) -> str:
    text = (one.module.__doc__ or "").strip()
    title, _, rest = text.partition("\n")
    prose = rest.partition("\nCovers:")[0].strip()
    lines = [f"### {one.name}\n", f"**{_plain(title)}**\n", _plain(prose), ""]
    lines.append(f"    unstuck case run course/{one.name}\n")
    lines.append(
        f"{_measured(one)}; the trivial answer has {_mean(one, 'baseline')}, and the worst seed is "
        f"better by {one.margins.min():.3g} (stated: {one.module.MARGIN:g}).\n"
    )
    for name in one.faults:
        stated = one.module.FAULTS[name]
        codes = ", ".join(stated.codes) or "no catalogued code"
        lines.append(f"- `--fault {name}`: {_plain(stated.seen)} ({codes}).")
    lines.append(f"\n![What {one.name} learned](course/{one.name}.png)\n")
    if (one.healthy.folders[0] / "clip.gif").exists():
        lines.append(f"![{one.name} moving](course/{one.name}.gif)\n")
    return "\n".join(lines)


def _measured(one: Item) -> str:
    values = one.healthy.values(one.module.METRIC)
    unit = f" {one.module.UNIT}" if one.module.UNIT else ""
    return f"{one.module.METRIC} {spread(values.tolist())}{unit}"


def _mean(one: Item, metric: str) -> str:
    return f"{one.healthy.values(metric).mean():.3g}"


def _harm(one: Item, fault: str) -> str:
    effect, low, high = one.harm(fault)
    metric = one.module.FAULTS[fault].symptom or one.module.METRIC
    return f"{metric} {effect:.3g} ({low:.3g} to {high:.3g})"


def _named(one: Item, fault: str) -> str:
    codes = one.module.FAULTS[fault].codes
    if not codes:
        return "-"
    known = one.known_codes(fault)
    if not known:
        return "*" + " ".join(codes) + "*"
    return f"{' '.join(known)} {one.named_first(fault)}/{len(one.faults[fault].named)}"


def _expect(one: Item) -> None:
    """Put the measured numbers into the item's docstring."""
    file = SOURCES / f"{one.name}.py"
    said = (
        f"Expected: {_measured(one)} over {len(one.healthy.metrics)} seeds (trivial answer "
        f"{_mean(one, 'baseline')}) in {one.seconds:.0f} s on one core each: python -m "
        f"{course.__name__} {one.name} --seeds {len(one.healthy.metrics)}"
    )
    filled = textwrap.fill(said, WIDTH, subsequent_indent="    ")
    text = file.read_text()
    changed = re.sub(r"^Expected: .*(?:\n    .*)*$", lambda _: filled, text, count=1, flags=re.M)
    if changed != text:
        file.write_text(changed)


def _plain(text: str) -> str:
    """Text for a markdown table: no bars, no stray emphasis, no HTML."""
    for mark in ("\\", "|", "*", "_", "<", "["):
        text = text.replace(mark, f"\\{mark}" if mark != "<" else "&lt;")
    return text
