"""Writes the generated pages of the site: detectors, remedies, probes, log formats, the glossary.

python scripts/build_docs.py
"""

from pathlib import Path

from unstuck import catalog
from unstuck.glossary.entry import Entry
from unstuck.naming import ROLES
from unstuck.report.explain import with_fences
from unstuck.vocabulary import FACTS, SERIES

DOCS = Path(__file__).parent.parent / "docs"
OUT = DOCS / "generated"


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
    (OUT / "catalogue.md").write_text("\n".join(rows) + "\n")
    terms = ["# Glossary", "\n## Series\n", glossary(SERIES), "\n## Facts\n", glossary(FACTS)]
    terms += ["\n## Roles\n", "| role | what such a series is |", "|---|---|"]
    terms += [f"| {role} | {meaning} |" for role, meaning in ROLES.items()]
    (OUT / "glossary.md").write_text("\n".join(terms) + "\n")
    print(f"wrote {len(list(OUT.rglob('*.md')))} pages into {OUT.relative_to(DOCS.parent)}")


if __name__ == "__main__":
    main()
