"""Named sets of characters, and text files that are what they should be or say what they are."""

import pytest

from unstuck.cases.zi2zi import charsets
from unstuck.cases.zi2zi.charsets import NAMES, characters

COUNTS = {  # of the standards
    "gb2312-l1": 3755,
    "gb2312": 6763,
    "big5-l1": 5401,
    "big5": 13053,
    "jis-l1": 2965,
    "jis": 6355,
    "kana": 169,
    "ksx1001": 2350,
    "ascii": 94,
    "latin": 52,
}
TEXTS = {
    "GB18030": ("gb18030", "天地玄黄。宇宙洪荒。日月盈昃。辰宿列张。"),
    "BIG5": ("big5", "天地玄黃。宇宙洪荒。寒來暑往。秋收冬藏。"),
    "SHIFT_JIS": ("shift_jis", "いろはにほへとちりぬるを、色は匂へど散りぬるを。"),
    "EUC_JP": ("euc_jp", "いろはにほへとちりぬるを、色は匂へど散りぬるを。"),
    "EUC_KR": ("euc_kr", "동해 물과 백두산이 마르고 닳도록 하느님이 보우하사"),
    "UTF-16": ("utf-16", "天地玄黄 abc"),
}


@pytest.mark.parametrize("name", NAMES)
def test_named_sets_have_as_many_characters_as_their_standard(name):
    found = characters(name)
    assert len(found) == len(set(found)) == COUNTS[name]
    assert not any(char.isspace() for char in found)
    assert NAMES[name].startswith(f"{COUNTS[name]:,} ")


def test_level_one_begins_the_whole_set_in_the_order_of_the_standard():
    for level, whole in (("gb2312-l1", "gb2312"), ("big5-l1", "big5"), ("jis-l1", "jis")):
        assert characters(whole).startswith(characters(level))
    assert characters("gb2312-l1")[:3] + characters("gb2312-l1")[-1] == "啊阿埃座"


def test_a_file_has_its_characters_once_in_their_order(tmp_path):
    file = tmp_path / "mine.txt"
    file.write_text("\ufeff永 字\n八法\u3000永\u200b法\n", encoding="utf-8")
    assert characters(str(file)) == "永字八法"


@pytest.mark.parametrize("name", TEXTS)
def test_a_file_of_another_encoding_is_told_by_its_name(tmp_path, name):
    codec, text = TEXTS[name]
    file = tmp_path / "charset.txt"
    file.write_bytes(text.encode(codec))
    with pytest.raises(
        ValueError, match=f"is not UTF-8 .*it looks like .*{name}: convert"
    ) as error:
        characters(str(file))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_told(tmp_path, codec):
    file = tmp_path / "charset.txt"
    for text in ("abcdef", "永和九年"):
        file.write_bytes(text.encode(codec))
        with pytest.raises(ValueError, match="looks like UTF-16"):
            characters(str(file))


def test_a_whole_charset_of_another_encoding_is_told(tmp_path):
    file = tmp_path / "charset.txt"
    for name, codec in (("gb2312-l1", "gb18030"), ("big5-l1", "big5"), ("jis-l1", "shift_jis")):
        file.write_bytes(characters(name).encode(codec))
        with pytest.raises(ValueError, match=f"looks like {codec.upper()}"):
            characters(str(file))


def test_bytes_that_are_no_text_are_said_to_be_none(tmp_path):
    file = tmp_path / "charset.txt"
    file.write_bytes(bytes(range(256)) * 8)
    with pytest.raises(ValueError, match="looks like no text"):
        characters(str(file))


def test_an_empty_file_an_unknown_name_and_a_folder(tmp_path):
    file = tmp_path / "charset.txt"
    for nothing in (b"", b"\xef\xbb\xbf \n\t"):
        file.write_bytes(nothing)
        with pytest.raises(ValueError, match="has no characters in it"):
            characters(str(file))
    for unknown in ("gb2313", str(tmp_path)):
        with pytest.raises(ValueError, match="neither a file nor one of gb2312-l1, gb2312"):
            characters(unknown)


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(charsets, "LARGEST", 10)
    file = tmp_path / "charset.txt"
    file.write_bytes(b"0123456789")
    assert characters(str(file)) == "0123456789"
    file.write_bytes(b"0123456789a")
    with pytest.raises(ValueError, match="larger than 10 bytes"):
        characters(str(file))
