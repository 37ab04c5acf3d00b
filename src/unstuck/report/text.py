"""Numbers and untrusted names as text: bounded in length, free of control characters."""

import math
import unicodedata
from collections.abc import Iterable

NAME_LENGTH = 200  # characters of a name that are shown; real names are below 100
TEXT_LENGTH = 2_000  # characters of a longer text (an exception, a command)
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # controls, direction marks, lone surrogates


def clean(text: object, limit: int = NAME_LENGTH) -> str:
    r"""Text that is safe to print: shortened in the middle, controls written as escapes.

    >>> clean("loss\x1b[2J\n"), clean("a" * 50, limit=9)
    ('loss\\x1b[2J\\n', 'aaaa…aaaa')
    """
    whole = str(text)
    if len(whole) > limit:
        whole = f"{whole[: limit // 2]}…{whole[len(whole) - limit // 2 :]}"
    return "".join(_escaped(c) if unicodedata.category(c) in HIDDEN else c for c in whole)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")


def number(value: float, digits: int = 4) -> str:
    """A number with so many significant digits.

    >>> number(0.00012345), number(12345678.0), number(-0.0), number(math.nan), number(3.2e9)
    ('0.0001234', '1.235e7', '0', 'NaN', '3.2e9')
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == int(value) and abs(value) < 1e7:
        return f"{int(value):,}"
    return short_exponent(f"{value:.{digits}g}")


def short_exponent(text: str) -> str:
    """`1e-07` as `1e-7`."""
    mantissa, mark, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}" if mark else text


def decimals(values: Iterable[float]) -> int | None:
    """Decimal places that give the largest of the values four digits; None: too large or small.

    >>> decimals([10.7, 9.861]), decimals([0.01]), decimals([1e-9])
    (2, 5, None)
    """
    largest = max((abs(v) for v in values if math.isfinite(v) and v), default=1.0)
    places = 3 - math.floor(math.log10(largest))
    return max(0, places) if -4 < places <= 7 else None


def counted(count: int, one: str, many: str = "") -> str:
    """
    >>> counted(1, "step"), counted(2_500, "step"), counted(2, "pathology", "pathologies")
    ('1 step', '2,500 steps', '2 pathologies')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def scalar(value: object) -> str:
    """A recipe value or fact as text."""
    if isinstance(value, float):
        return number(value, 6)
    return clean(value)
