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
_CONSOLES = ("gb18030", "big5")  # consoles whose text is no UTF-8
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
    sample = data[:SAMPLE]
    for encoding in _CONSOLES:
        try:
            codecs.getincrementaldecoder(encoding)().decode(sample)
        except UnicodeDecodeError:
            continue
        return data.decode(encoding, "replace")
    return data.decode("utf-8", "replace")


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


def _utf16(data: bytes) -> str:
    """UTF-16 without a mark: every other byte of mostly Latin text is zero."""
    if len(data) < 4:
        return ""
    even, odd = data[0::2].count(0), data[1::2].count(0)
    half = len(data) // 2
    if odd > 0.4 * half and even < 0.05 * half:
        return "utf-16-le"
    return "utf-16-be" if even > 0.4 * half and odd < 0.05 * half else ""
