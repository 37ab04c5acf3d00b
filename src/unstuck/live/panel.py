"""What the terminal shows of a run while it is being made, as lines of text."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from rich.text import Text

from unstuck.live.growth import speed
from unstuck.live.sparkline import BLOCKS, FILLS, PLAIN_BLOCKS, PLAIN_FILLS, bar, sparkline
from unstuck.records import Diagnosis, Run, Series
from unstuck.report import story
from unstuck.report.terminal import STYLES
from unstuck.report.text import clean, number

NAME = 24  # columns of a name
VALUE = 10  # columns of a number
BAR = 20
MOST = 4  # losses, metrics, findings
FIRST, SECOND, THIRD = range(3)  # what is left out last


@dataclass(frozen=True, slots=True)
class Signs:
    """The characters a terminal can show."""

    blocks: str = BLOCKS
    fills: str = FILLS
    rule: str = "─"
    dot: str = "·"


UNICODE = Signs()
ASCII = Signs(PLAIN_BLOCKS, PLAIN_FILLS, "-", "-")


def panel(
    name: str,
    seconds: float,
    diagnosis: Diagnosis | None,
    width: int,
    height: int,
    signs: Signs = UNICODE,
) -> list[Text]:
    """At most `height` lines of `width` columns: the title, findings, then what there is room for.

    `seconds` is how long the script has been running.
    """
    title = _title(name, seconds, diagnosis, width, signs)
    if diagnosis is None or not diagnosis.run.series:
        return [title, Text("waiting for the first training step", "dim")][:height]
    lines = list(_lines(diagnosis, width, signs))
    chosen = sorted(range(len(lines)), key=lambda i: (lines[i][0], i))[: height - 1]
    shown = [title, *(lines[i][1] for i in sorted(chosen))]
    for line in shown:
        line.truncate(width, overflow="ellipsis")
    return shown


def _title(
    name: str, seconds: float, diagnosis: Diagnosis | None, width: int, signs: Signs
) -> Text:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    told = [clean(name, 40), f"{hours}:{minutes:02}:{rest:02}"]
    if diagnosis is not None and diagnosis.run.last_step >= 0:
        told.append(f"step {diagnosis.run.last_step:,}")
        pace = speed(diagnosis.run)
        told += [f"{number(pace, 3)} steps/s"] if pace else []
    text = f"{signs.rule * 2} {f' {signs.dot} '.join(told)} "
    return Text(text.ljust(width, signs.rule)[:width], "bold")


def _lines(diagnosis: Diagnosis, width: int, signs: Signs) -> Iterator[tuple[int, Text]]:
    """(how early it is left out, the line), in the order in which they are shown."""
    run = diagnosis.run
    yield from _findings(diagnosis)
    for kind, first in (("loss/*", FIRST), ("metric/val/*", SECOND), ("metric/train/*", THIRD)):
        for i, one in enumerate(_read(run, kind)[:MOST]):
            yield (first if i < 2 else THIRD), _curve(one, width, signs)
    for what, label in (("lr", "learning rate"), ("grad_norm", "gradient norm")):
        series = [s for s in _read(run, f"{what}/*") if s.name.count("/") == 1]
        if series:
            yield FIRST, _values(label, series, width, signs)
    for loss in sorted({s.name.split("/")[1] for s in _read(run, "share/*/*")}):
        yield SECOND, _shares(run, loss, signs)


def _read(run: Run, pattern: str) -> list[Series]:
    return [series for series in run.matching(pattern) if len(series)]


def _findings(diagnosis: Diagnosis) -> Iterator[tuple[int, Text]]:
    for i, cause in enumerate(diagnosis.causes[:MOST]):
        severity = cause.finding.severity
        told = Text.assemble(
            (severity, STYLES.get(severity, "")), " ", story.headline(cause.finding)
        )
        if cause.symptoms:
            told.append(f" (explains {len(cause.symptoms)})", "dim")
        yield (FIRST if i == 0 else SECOND), told
    if not diagnosis.causes:
        yield FIRST, Text(f"nothing found so far: {story.checked(diagnosis)}", "dim")


def _curve(series: Series, width: int, signs: Signs) -> Text:
    """A name, its last value, and how it came there."""
    name = clean(series.name.partition("/")[2], NAME).ljust(NAME)
    line = Text.assemble(name, " ", (number(series.value[-1]).rjust(VALUE), "bold"), "  ")
    return line.append(sparkline(series, width - NAME - VALUE - 4, signs.blocks), "cyan")


def _values(label: str, series: list[Series], width: int, signs: Signs) -> Text:
    """One quantity of every optimizer in one line."""
    line = Text(label.ljust(NAME))
    if len(series) == 1:
        line.append(" ").append(number(series[0].value[-1]).rjust(VALUE), "bold").append("  ")
        return line.append(sparkline(series[0], width - NAME - VALUE - 4, signs.blocks), "cyan")
    for one in series[:MOST]:
        line.append(f" {clean(one.name.partition('/')[2], 16)} ")
        line.append(number(one.value[-1]), "bold").append(
            f" {sparkline(one, 8, signs.blocks)} ", "cyan"
        )
    return line


def _shares(run: Run, loss: str, signs: Signs) -> Text:
    """The last shares of a loss's terms: of its gradient where that is known, else of its value."""
    label, series = "gradient of", _read(run, f"gradient_share/{loss}/*")
    if not series:
        label, series = "value of", _read(run, f"share/{loss}/*")
    shares = [(float(s.value[-1]), s.name.split("/", 2)[2]) for s in series]
    shares = sorted(shares, key=lambda share: -np.nan_to_num(share[0]))
    line = Text(f"{label} {clean(loss, NAME - 12)}".ljust(NAME) + " ")
    line.append(bar([share for share, _ in shares], BAR, signs.fills), "cyan")
    for i, (share, term) in enumerate(shares[: len(signs.fills)]):
        line.append(f"  {signs.fills[i]} ", "cyan").append(f"{clean(term, 16)} ")
        line.append(f"{number(100 * share, 2)} %", "bold")
    return line
