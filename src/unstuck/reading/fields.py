r"""The numbers of a line of a log and their names: `iter 100: loss 2.3` -> step 100, loss 2.3.

A line is split into its numbers and its *template*, what stands around them. Lines of a log repeat
few templates, so each is understood once, however many lines there are.

>>> template, numbers = split_line("Epoch: [ 3], [ 100/ 223] time: 512, d_loss: 0.0031")
>>> shape = shape_of(template)
>>> [(c.kind, numbers[c.number]) for c in shape.counters]
[('epoch', '3'), ('part', '100')]
>>> [(f.name, numbers[f.number]) for f in shape.fields]
[('time', '512'), ('d_loss', '0.0031')]
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from unstuck.naming import is_epoch, is_step, words_of

Kind = Literal["epoch", "step", "part"]
HOLE = "\x00"  # stands for a number in a template
LONGEST_LINE = 4_000  # characters that are looked at
LONGEST_NAME = 4  # words

_DIGITS = (  # a comma may be a decimal one, or stand between thousands
    r"\d*+(?:,\d{3}(?!\d))*+(?:\.\d*+|(?:,\d++(?!\.\d)){1,8}+(?!,\d))?(?:[eE][-+]?\d+)?"
)
_FRACTION = r"\d++(?:[eE][-+]?\d+)?"
_NUMBER = re.compile(  # its first character, what may not stand before that, and the rest of it
    r"([-+.\dnNiI](?<![\w@.].)(?<!\w-.)(?:"
    rf"(?<=\d){_DIGITS}|(?<=\.){_FRACTION}|(?<=[-+])(?:\d{_DIGITS}|\.{_FRACTION}|(?i:nan|inf)(?!\w))"
    r"|(?:(?<=[nN])(?i:an)|(?<=[iI])(?i:nf(?:inity)?))(?!\w)"
    r"(?<!of ...)))"  # `number of nan iterations: 0`
)
_GLUED = re.compile(r"[chptrn][-_]?\d")  # a quick look whether there may be one of
_GLUED_COUNTER = re.compile(r"(?i)\b(epoch|iter|iteration|step|ep)[-_]?(?=\d)")
_CHINESE_COUNTER = re.compile(
    r"第 {0,3}(\d+)( {0,3}/ {0,3}\d+)? {0,3}[个個]?([轮輪期代步批次]|epoch|step|batch|iter)"
)
_COUNTED = {"批": "batch", "步": "step", "次": "step"}  # the others are epochs
_STREAM = re.compile(r"\b(?:stdout|stderr) [FP] ")  # in front of each line of a container
_WRAPPER = re.compile(r"\b(?:tensor|array|(?:np|numpy|jnp|torch)\.\w+|float\d*|DeviceArray)\(\[*")
_BAR = re.compile(r"\d{1,3}%\|[^|]{0,500}\||[━╸╺─╍]{2,}|\[[=>. #-]{4,}\]")
_BAR_SIGNS = ("%|", "━", "[=", "[>", "[#")
_TOKEN = re.compile(
    r"(?P<clock>\x00(?:[/.-](?:\x00|\d+)){1,2}(?:T\d+|[ ,]{1,3}\x00)(?::\x00){1,2}Z?"
    r"|\x00(?::\x00)+)"
    r"|\x00(?P<unit>%|/?[A-Za-zµ][\w/µ]*+)?(?:(?P<of> ?/ ?)\x00)?"
    r"|(?P<word>[^\W\d]\w*+(?:[/.@+&-]+\w++|\([^\s()\x00]{0,30}(?:\([^\s()\x00]{0,20}\))?\))*+)"
    r"|(?P<sep>[:=\uff1a→]|->)|(?P<transparent>[\[(){'\"` ])|(?P<stop>.)",
    re.DOTALL,
)
_ROW_BAR = re.compile(r"(?<=[\x00A-Z]):? \x00/\x00 \[")  # the bar itself is gone by then
_LETTERS = re.compile(r"[^\W\d_]")
_FRACTION_AND_CLOCK = re.compile(r"\x00/\x00 \x00(?::\x00)+")  # of a bar; in front it is a date
_UNITS = re.compile(
    r"(?i)%|[mµun]?s|secs?|seconds?|mins?|minutes?|m|h|hours?|d|it|its|x|db|e|st|nd|rd|th"
    r"|[kmgt]?i?b|[kmg]|\w*/\w+"
)
_STOP_WORDS = {
    *("with", "the", "is", "was", "a", "of", "at", "in", "on", "for", "and", "to", "by", "after"),
    *("from", "than", "has", "finished", "done", "complete", "completed", "took", "got", "new"),
    *("info", "debug", "warning", "stdout", "stderr"),
}
TRAINING = {"train", "training"}
VALIDATING = {
    *("val", "valid", "validation", "validating", "validate", "eval", "evaluation", "evaluating"),
    *("evaluate", "test", "testing", "dev", "holdout"),
}
_SPLITS = TRAINING | VALIDATING
_FILES = (".py", ".cc", ".cpp", ".c", ".cu", ".h", ".js", ".ipynb", ".sh")


@dataclass(frozen=True, slots=True)
class Counter:
    """A number that says where training is; `total` is what it counts up to."""

    kind: Kind
    number: int
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """A named number; `mean` is the running mean in brackets behind it, `total` its divisor."""

    name: str
    number: int
    mean: int | None = None
    total: int | None = None
    percent: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """What the numbers of all lines of one template mean; `split` is the data they are about."""

    counters: tuple[Counter, ...]
    fields: tuple[Field, ...]
    split: str = ""

    @property
    def validates(self) -> bool:
        """Whether its lines tell of other data than what is trained on, and of nothing else."""
        if self.split:
            return True
        return bool(self.fields) and all(set(words_of(f.name)) & VALIDATING for f in self.fields)


def split_line(line: str) -> tuple[str, list[str]]:
    """The template of a line and the text of its numbers."""
    line = line[:LONGEST_LINE]
    if any(sign in line for sign in _BAR_SIGNS):
        line = _BAR.sub(" ", line)
    if "(" in line:
        line = _WRAPPER.sub("", line)
    if _GLUED.search(line):
        line = _GLUED_COUNTER.sub(r"\1 ", line)
    if "第" in line:
        line = _CHINESE_COUNTER.sub(_named_counter, line)
    parts = _NUMBER.split(line)
    return " ".join(HOLE.join(parts[::2]).split()), parts[1::2]


def _named_counter(found: re.Match[str]) -> str:
    word = found[3] if found[3].isascii() else _COUNTED.get(found[3], "epoch")
    return f" {word} {found[1]}{found[2] or ''} "


def shape_of(template: str) -> Shape:
    """What the numbers of a template are."""
    return _Reader(_STREAM.sub("", template)).shape()


def shape_of_row(template: str, header: Sequence[str]) -> Shape | None:
    """The shape of a row of bare numbers below a header; None where they do not fit.

    A progress bar may follow the row.
    """
    tokens = [m for m in _TOKEN.finditer(template) if m[0].startswith(HOLE)]
    bar = _ROW_BAR.search(template)
    row = [m for m in tokens if bar is None or m.start() < bar.start()]
    if len(row) != len(header) or (_LETTERS.search(template) and bar is None):
        return None
    counters: list[Counter] = []
    fields: list[Field] = []
    number = 0
    for name, token in zip(header, row, strict=True):
        total = number + 1 if token["of"] else None
        if token["clock"] is None and (is_epoch(name) or is_step(name)):
            counters.append(Counter("epoch" if is_epoch(name) else "step", number, total))
        elif token["clock"] is None:
            fields.append(Field(name, number))
        number += token[0].count(HOLE)
    if bar is not None:
        counters.append(Counter("part", number, number + 1))
    return Shape(tuple(counters), tuple(fields))


class _Reader:
    """Walks once over a template."""

    def __init__(self, template: str) -> None:
        self.template = template
        self.number = 0  # numbers seen so far
        self.words: list[str] = []  # since the last number or stop
        self.separated = False  # those words end with a colon or an equals sign
        self.split = ""  # "" for training data
        self.bracket = ""  # the last thing passed, where it was an opening bracket
        self.counters: list[Counter] = []
        self.fields: list[Field] = []

    def shape(self) -> Shape:
        for token in _TOKEN.finditer(self.template):
            text = token[0]
            if text.startswith(HOLE):
                self._on_number(token)
            elif token["word"]:
                if self.separated:
                    self._drop_words()
                self.words.append(text)
            elif token["sep"]:
                self.separated = bool(self.words)
            elif token["stop"]:
                self._drop_words()
            if text != " ":
                self.bracket = text if text in "([" else ""
        self._drop_words()
        counters = self._counters()
        splits = {self._split_of(f.name) for f in self.fields}
        split = self.split if self.split and splits <= {self.split} else ""
        return Shape(counters, tuple(self.fields), split)

    def _split_of(self, name: str) -> str:
        return next((w for w in words_of(name) if w in VALIDATING), "")

    def _drop_words(self) -> None:
        """Words without a number may say which data the rest of the line is about."""
        for word in self.words:
            if "." in word or "/" in word:
                continue
            pieces = set(words_of(word))
            if pieces & VALIDATING:
                self.split = next(w for w in words_of(word) if w in VALIDATING)
            elif pieces & TRAINING:
                self.split = ""
        self.words, self.separated = [], False

    def _on_number(self, token: re.Match[str]) -> None:
        here, self.number = self.number, self.number + token[0].count(HOLE)
        if token["clock"]:
            self.words, self.separated = [], False
            if self.counters and _FRACTION_AND_CLOCK.fullmatch(token[0]):
                self.counters.append(Counter("part", here, here + 1))
            return
        unit = token["unit"] or ""
        words, separated, split = self.words, self.separated, self.split
        self.words, self.separated = [], False
        if unit and not _UNITS.fullmatch(unit):
            return
        total = here + 1 if token["of"] else None
        name = self._name(words, separated)
        of_split = not name and bool(set(words_of(" ".join(words))) & _SPLITS)
        if of_split and total is None and separated and self.counters:  # `5: learn: 0.6 test: 0.7`
            self.split = split
            self._add(Field(" ".join(words), here, percent=unit == "%"))
        elif not name:
            self._unnamed(here, total, unit, of_split)
        elif is_epoch(name) or is_step(name):
            self.counters.append(Counter("epoch" if is_epoch(name) else "step", here, total))
        elif not name.endswith(_FILES):
            self._add(Field(self._placed(name), here, None, total, unit == "%"))

    def _name(self, words: Sequence[str], separated: bool) -> str:
        """The words that name a number; the data they speak of is kept, or is their only use."""
        start = max((i + 1 for i, w in enumerate(words) if w.lower() in _STOP_WORDS), default=0)
        words = words[start:][-LONGEST_NAME if separated else 1 - LONGEST_NAME :]
        name = " ".join(words)
        rest = [w for w in words_of(name) if w not in _SPLITS]
        counter = " ".join(rest)
        if not rest or is_epoch(counter) or is_step(counter):
            self.words = list(words)
            self._drop_words()
            return counter
        return name

    def _placed(self, name: str) -> str:
        known = set(words_of(name)) & _SPLITS
        return f"{self.split} {name}" if self.split and not known else name

    def _unnamed(self, here: int, total: int | None, unit: str, of_split: bool) -> None:
        if total is not None:
            self.counters.append(Counter("part", here, total))
        elif self.bracket == "(" and self.fields and self.fields[-1].mean is None and not unit:
            if self.fields[-1].number == here - 1:
                self.fields[-1] = replace(self.fields[-1], mean=here)
        elif unit.lower() == "it" or (here == 0 and not unit and self._leads()):
            self.counters.append(Counter("step", here))
        elif of_split and not unit:  # `Train: 0 [50/1251]`
            self.counters.append(Counter("epoch", here))

    def _leads(self) -> bool:
        """Whether the line begins with its first number: `[10] train-logloss:0.5`, `10: ...`."""
        return self.template.startswith((f"[{HOLE}]", f"{HOLE}:"))

    def _add(self, field: Field) -> None:
        if all(f.name != field.name for f in self.fields):
            self.fields.append(field)

    def _counters(self) -> tuple[Counter, ...]:
        """Of two bare fractions the first counts epochs: `[0/5][50/1583]`."""
        parts = [c for c in self.counters if c.kind == "part"]
        others = [c for c in self.counters if c.kind != "part"]
        if len(parts) > 1 and not any(c.kind == "epoch" for c in others):
            parts[0] = replace(parts[0], kind="epoch")
        return (*others, *parts)
