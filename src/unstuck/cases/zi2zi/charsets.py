"""Which characters: sets that character encodings name, or a text file.

Levels are those of the standards: GB 2312-1980 (level 1: the 3,755 most frequent characters of
simplified Chinese, by sound), Big5 (level 1: 5,401 of traditional Chinese, by strokes), JIS X 0208
(level 1: 2,965 of Japanese), KS X 1001 (2,350 Korean syllables).
"""

import codecs
import unicodedata
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

LARGEST = 10_000_000  # bytes of a file
JUDGED = 20_000  # bytes that the encoding of a file is judged by
USUAL_AT_LEAST = 0.5  # of what is decoded, where an encoding is named
LEFT_OUT = ("Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Cn")  # categories of Unicode that draw nothing

Rows = tuple[str, Iterable[int], Iterable[int]]  # codec, first bytes, second bytes
LOW = range(0xA1, 0xFF)
BIG5_LOW = (*range(0x40, 0x7F), *LOW)
BIG5_LAST = (*range(0x40, 0x7F), *range(0xA1, 0xD6))
BIG5_FIRST: tuple[Rows, ...] = (
    ("big5", range(0xA4, 0xC6), BIG5_LOW),
    ("big5", (0xC6,), range(0x40, 0x7F)),
)

SETS: Mapping[str, tuple[str, tuple[Rows, ...]]] = {
    "gb2312-l1": ("3,755 simplified characters, level 1", (("gb2312", range(0xB0, 0xD8), LOW),)),
    "gb2312": ("6,763 simplified characters", (("gb2312", range(0xB0, 0xF8), LOW),)),
    "big5-l1": ("5,401 traditional characters", BIG5_FIRST),
    "big5": (
        "13,053 traditional characters, both levels",
        (*BIG5_FIRST, ("big5", range(0xC9, 0xF9), BIG5_LOW), ("big5", (0xF9,), BIG5_LAST)),
    ),
    "jis-l1": ("2,965 Japanese characters, level 1", (("euc_jp", range(0xB0, 0xD0), LOW),)),
    "jis": ("6,355 Japanese characters, both levels", (("euc_jp", range(0xB0, 0xF5), LOW),)),
    "kana": ("169 hiragana and katakana", (("euc_jp", (0xA4, 0xA5), LOW),)),
    "ksx1001": ("2,350 Korean syllables", (("euc_kr", range(0xB0, 0xC9), LOW),)),
    "ascii": ("94 letters, digits and signs", (("ascii", range(0x21, 0x7F), ()),)),
    "latin": (
        "52 letters, A to Z and a to z",
        (("ascii", range(0x41, 0x5B), ()), ("ascii", range(0x61, 0x7B), ())),
    ),
}
NAMES: Mapping[str, str] = {name: told for name, (told, _) in SETS.items()}

# What a file that is not UTF-8 is judged by: a codec, and the sets of characters usual in it.
USUAL: Mapping[str, tuple[str, ...]] = {
    "gb18030": ("gb2312-l1",),
    "big5": ("big5-l1",),
    "shift_jis": ("jis-l1", "kana"),
    "euc_jp": ("jis-l1", "kana"),
    "euc_kr": ("ksx1001",),
    "utf-16-le": ("gb2312", "big5", "kana", "ksx1001", "ascii"),
    "utf-16-be": ("gb2312", "big5", "kana", "ksx1001", "ascii"),
}
MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}  # the longer ones first: one begins with another


def characters(charset: str) -> str:
    """The characters of a named set, or those of a UTF-8 text file in their order, each once.

    White space and what draws nothing is left out. ValueError in one line: an unknown name, a file
    that is no UTF-8 (told with the encoding that it looks like), too large or empty.
    """
    if charset in NAMES:
        return _named(charset)
    file = Path(charset)
    if not file.is_file():
        raise ValueError(
            f"no charset {charset!r}: it is neither a file nor one of {', '.join(NAMES)}"
        )
    if file.stat().st_size > LARGEST:
        raise ValueError(f"{file} is larger than {LARGEST:,} bytes: too much for a charset")
    found = distinct(_text(file))
    if not found:
        raise ValueError(f"{file} has no characters in it")
    return found


def distinct(text: str) -> str:
    """
    >>> distinct("b a\\n\\tab\\u200b\\u3000a")
    'ba'
    """
    return "".join(dict.fromkeys(c for c in text if unicodedata.category(c) not in LEFT_OUT))


@cache
def _named(name: str) -> str:
    found: list[str] = []
    for codec, firsts, seconds in SETS[name][1]:
        ends = [bytes((second,)) for second in seconds] or [b""]
        for code in (bytes((first,)) + end for first in firsts for end in ends):
            try:
                found.append(code.decode(codec))
            except UnicodeDecodeError:
                continue  # a place the standard leaves empty
    return distinct("".join(found))


def _text(file: Path) -> str:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        reason = f"byte {error.start} is none"
    else:
        if "\0" not in text:
            return text
        reason = "it has zero bytes in it"
    names = encodings(data)
    if not names:
        raise ValueError(f"{file} is not UTF-8 ({reason}) and looks like no text")
    raise ValueError(
        f"{file} is not UTF-8 ({reason}); it looks like {' or '.join(names)}: "
        f"convert it with `iconv -f {names[0]} -t UTF-8`"
    )


def encodings(data: bytes) -> list[str]:
    """Encodings whose usual characters the bytes mostly are; several where they are in each.

    >>> encodings("永和九年歲在癸丑".encode("big5")), encodings("永和九年".encode("utf-16-le"))
    (['BIG5'], ['UTF-16'])
    """
    for mark, name in MARKS.items():
        if data.startswith(mark):
            return [name]
    told = {codec: _told(data[:JUDGED], codec) for codec in USUAL}
    best = [codec.upper() for codec, count in told.items() if count and count == max(told.values())]
    return ["UTF-16" if name.startswith("UTF-16") else name for name in best]


def _told(data: bytes, codec: str) -> int:
    """How many usual characters the bytes are, two bytes each; 0 where most are unusual.

    ASCII says nothing but where it has two bytes, too; a character cut off at the end is none.
    """
    try:
        text = codecs.getincrementaldecoder(codec)().decode(data)
    except UnicodeDecodeError:
        return 0
    wide = codec.startswith("utf")
    told = [c for c in text if not c.isspace() and (wide or ord(c) > 127)]
    known = {c for name in USUAL[codec] for c in _named(name)}
    usual = sum(c in known for c in told)
    return usual if usual >= USUAL_AT_LEAST * len(told) else 0
