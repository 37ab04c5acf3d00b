"""Writes the generated pages of the site: detectors, remedies, probes, log formats, live changes,
the glossary.

python scripts/build_docs.py
"""

import ast
import re
from pathlib import Path

import unstuck
from unstuck import catalog
from unstuck.changes import KINDS, Kind
from unstuck.glossary.entry import Entry
from unstuck.naming import ROLES
from unstuck.report.explain import with_fences
from unstuck.vocabulary import FACTS, SERIES

DOCS = Path(__file__).parent.parent / "docs"
OUT = DOCS / "generated"
INTERVENTIONS = Path(unstuck.__file__).parent / "watcher" / "interventions"
PLACES = {  # how a place is called in examples
    "<optimizer>": "optimizer",
    "<loss>": "loss",
    "<term>": "kl",
    "<loss function>": "elementwise",
    "<discriminator>": "netD",
    "<model>": "net",
}


def page(folder: str, name: str, text: str) -> str:
    """One page from a docstring; its first line becomes the title. Returns a table row's text."""
    title, _, rest = text.strip().partition("\n")
    path = OUT / folder / f"{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"# {title.rstrip('.')}\n{with_fences(rest)}\n")
    return title.partition(": ")[2]


def glossary(entries: tuple[Entry, ...]) -> str:
    rows = [f"| `{e.pattern}` | {e.unit} | {e.meaning} | {e.written_by} |" for e in entries]
    return "\n".join(["| name | unit | meaning | written by |", "|---|---|---|---|", *rows])


def example(kind: Kind) -> str:
    """A change of this kind as it is written on a command line."""
    value = "4" if kind.whole else "0.1"
    for word in re.findall(r"'([^']+)'", kind.values):
        value = word.replace("STEPS", "1000")
    place = kind.where.split(" or ")[0]
    for general, one in PLACES.items():
        place = place.replace(general, one)
    return f"{kind.name}/{place}={value}"


def told_of_kinds() -> dict[str, str]:
    """What the file of each kind of change says of it, under the names of its kinds, in order."""
    found: dict[str, list[str]] = {}
    for path in sorted(INTERVENTIONS.glob("[!_]*.py")):
        tree = ast.parse(path.read_text())
        assigned = [n for n in ast.walk(tree) if isinstance(n, ast.Assign)]
        kinds = [ast.literal_eval(n.value) for n in assigned if ast.unparse(n.targets[0]) == "kind"]
        found.setdefault(ast.get_docstring(tree) or "", []).extend(kinds)
    order = [kind.name for kind in KINDS]
    by_name = {", ".join(kinds): text for text, kinds in found.items()}
    return dict(sorted(by_name.items(), key=lambda item: order.index(item[0].split(", ")[0])))


def live_changes() -> str:
    rows = ["# Live changes\n", "| change | values | meaning | example |", "|---|---|---|---|"]
    for kind in KINDS:
        change = f"`{kind.name}/{kind.where}`"
        rows.append(f"| {change} | {kind.values} | {kind.meaning} | `{example(kind)}` |")
    for names, text in told_of_kinds().items():
        rows.append(f"\n## {names}\n\n{escaped(text)}")
    return "\n".join(rows) + "\n"


def escaped(text: str) -> str:
    """`<optimizer>` in prose is no HTML; a link in angle brackets stays one."""
    return re.sub(r"<(?!https?:)", "&lt;", text)


def main() -> None:
    rows = ["# Pathologies\n", "| code | name | what is seen |", "|---|---|---|"]
    for detector in catalog.detectors():
        told = page("detectors", detector.name, detector.page)
        rows.append(
            f"| {detector.code} | [{detector.name}](detectors/{detector.name}.md) | {told} |"
        )
    rows += ["\n# Remedies\n", "| name | answers | safety |", "|---|---|---|"]
    for remedy in catalog.remedies():
        page("remedies", remedy.name, remedy.page)
        answers = ", ".join(remedy.answers)
        rows.append(f"| [{remedy.name}](remedies/{remedy.name}.md) | {answers} | {remedy.safety} |")
    rows += ["\n# Probes\n", "| name | facts |", "|---|---|"]
    for probe in catalog.probes():
        page("probes", probe.name, probe.page)
        rows.append(f"| [{probe.name}](probes/{probe.name}.md) | {', '.join(probe.facts)} |")
    rows += ["\n# Log formats\n", "| name | what is read |", "|---|---|"]
    for source in catalog.sources():
        told = page("sources", source.name, source.page)
        rows.append(f"| [{source.name}](sources/{source.name}.md) | {told} |")
    (OUT / "changes.md").write_text(live_changes())
    (OUT / "catalogue.md").write_text("\n".join(rows) + "\n")
    terms = ["# Glossary", "\n## Series\n", glossary(SERIES), "\n## Facts\n", glossary(FACTS)]
    terms += ["\n## Roles\n", "| role | what such a series is |", "|---|---|"]
    terms += [f"| {role} | {meaning} |" for role, meaning in ROLES.items()]
    (OUT / "glossary.md").write_text("\n".join(terms) + "\n")
    print(f"wrote {len(list(OUT.rglob('*.md')))} pages into {OUT.relative_to(DOCS.parent)}")


if __name__ == "__main__":
    main()
