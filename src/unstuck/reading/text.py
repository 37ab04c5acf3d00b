r"""Bytes of a console or a file as text: its encoding found out, terminal controls taken away.

>>> lines("loss: 1\r\nloss: 2\rloss: 3\n".encode("utf-16"))
['loss: 1', 'loss: 2', 'loss: 3']
>>> decoded("损失 0.5".encode("gbk"))
'损失 0.5'
"""

import codecs
import re

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_USUAL = {  # what text is mostly made of, in encodings of two bytes a character and in others
    "gb18030": rb"[\xa1\xa3\xb0-\xd7][\xa1-\xfe]|\xa9[\xa4-\xef]",  # punctuation, lines, common
    "big5": rb"[\xa1\xa4-\xc6][\x40-\x7e\xa1-\xfe]",  # punctuation, the 5,401 common characters
    "cp1252": rb"(?<![\x80-\xff])(?:[\x80\x85\x91-\x97\xa0\xab\xb0-\xb5\xbb]|[\xc0-\xff]{1,2})"
    rb"(?![\x80-\xff])",  # punctuation and one or two letters among ASCII
    "utf-8": rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}",
}
_TWO_BYTES = ("gb18030", "big5")
_PAIR = rb"[\x81-\xfe][\x40-\xfe]"
_HIGH = re.compile(rb"[\x80-\xff]")
_ANSI = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)?|\x1b[@-Z\\-_]"
)
_BACKSPACES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f]+")
SAMPLE = 100_000  # bytes that tell an encoding


def is_text(head: bytes) -> bool:
    """Whether the first bytes of a file look like text of some encoding."""
    if not head or head.startswith(tuple(bom for bom, _ in _BOMS)) or _utf16(head):
        return bool(head)
    if b"\x00" in head:
        return False
    controls = sum(head.count(bytes([c])) for c in (*range(1, 8), *range(14, 27), 28, 29, 30, 31))
    return controls <= 0.02 * len(head)


def decoded(data: bytes) -> str:
    """Text of any usual encoding; bytes that fit none are replaced, never refused."""
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return data.decode(encoding, "replace")
    if encoding := _utf16(data[:SAMPLE]):
        return data.decode(encoding, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start >= len(data) - 3:  # cut in the middle of its last character
            return data.decode("utf-8", "replace")
    return data.decode(_likeliest(data[:SAMPLE]), "replace")


def lines(data: bytes) -> list[str]:
    """The lines as a terminal showed them, each state of a progress bar its own line."""
    return plain(decoded(data)).split("\n")[:-1] if data else []


def plain(text: str) -> str:
    """Text without colours and cursor moves; every line end, a lone return too, is a newline."""
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    text = _BACKSPACES.sub("", text)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text if text.endswith("\n") else text + "\n"


def ended(text: str) -> bool:
    """Whether the last line ends; a terminal may be told something after that."""
    return _ANSI.sub("", text[-4_096:]).endswith(("\n", "\r"))


def _likeliest(sample: bytes) -> str:
    """The encoding in which most of what is no ASCII is what its text is mostly made of."""
    bytes_of = {}
    for encoding, usual in _USUAL.items():
        found = re.findall(_PAIR if encoding in _TWO_BYTES else usual, sample)
        fitting = b"".join(it for it in found if re.fullmatch(usual, it))
        bytes_of[encoding] = len(_HIGH.findall(fitting))
    return max(bytes_of, key=bytes_of.__getitem__)


def _utf16(data: bytes) -> str:
    """UTF-16 without a mark: every other byte of mostly Latin text is zero."""
    if len(data) < 4:
        return ""
    even, odd = data[0::2].count(0), data[1::2].count(0)
    half = len(data) // 2
    if odd > 0.4 * half and even < 0.05 * half:
        return "utf-16-le"
    return "utf-16-be" if even > 0.4 * half and odd < 0.05 * half else ""
