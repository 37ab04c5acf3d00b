"""The page of a pathology, remedy or probe in the terminal."""

import re

from rich.console import Console
from rich.text import Text
from rich.theme import Theme

PLAIN = Theme({"markdown.h2": "bold", "markdown.code": "cyan", "markdown.code_block": ""})
AUTOLINK = re.compile(r"<(https?://[^>\s]+)>")


def print_explain(page: str, console: Console | None = None) -> None:
    """Print a page of Markdown: set in a terminal, as it is written in a pipe."""
    out = console or Console(highlight=False)
    page = page.strip()
    if out.is_terminal:
        from rich.markdown import Markdown  # takes longer to import than all the rest here

        title, _, rest = page.partition("\n")
        out.print(Text(title, style="bold"))
        with out.use_theme(PLAIN):
            out.print(Markdown(with_fences(rest), code_theme="ansi_dark", hyperlinks=False))
    else:
        out.print(Text(page), soft_wrap=True)


def with_fences(page: str) -> str:
    """Doctests as code blocks, so that Markdown keeps their lines apart; links as they are read."""
    lines: list[str] = []
    inside = False
    for line in AUTOLINK.sub(r"\1", page).splitlines():
        if line.startswith(">>>") and not inside:
            lines += ["", "```python"]
            inside = True
        elif inside and not line.strip():
            lines.append("```")
            inside = False
        lines.append(line)
    return "\n".join([*lines, "```"] if inside else lines)
