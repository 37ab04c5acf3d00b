"""What every HTML page is made with: templates that escape, and the style and script files."""

from functools import cache
from importlib.resources import files

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from unstuck.report import story, text


@cache
def environment(*packages: str) -> Environment:
    """The templates of these packages, the first that has one of a name."""
    made = Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in packages]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        clean=text.clean,
        number=text.number,
        scalar=text.scalar,
    )
    made.globals.update(counted=text.counted, effect=story.effect, interval=story.interval)
    made.globals.update(lost=story.lost, remark=story.remark, changes=story.changes)
    return made


@cache
def asset(package: str, name: str) -> str:
    return (files(package) / "templates" / name).read_text(encoding="utf-8").strip()
