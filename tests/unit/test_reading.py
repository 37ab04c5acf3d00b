"""From bytes to lines, from columns to a run: what every reader of logs relies on."""

import numpy as np
import pytest

from unstuck.reading import bounds
from unstuck.reading.assemble import Readings, assembled, with_roles
from unstuck.reading.columns import Column, tabled
from unstuck.reading.text import decoded, is_text, lines
from unstuck.source import UnreadableRunError

TEXT = "épisode 1: 损失=0.5 ✓\n"


def readings(steps, values=None):
    return Readings(np.array(steps), np.array(values or steps, dtype=float))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_unicode_in_any_encoding_is_read(encoding):
    text = TEXT if encoding != "utf-16-le" else "epoch 1 loss 0.5\n"
    assert lines(text.encode(encoding)) == [text.strip()]


@pytest.mark.parametrize(("encoding", "word"), [("gbk", "训练损失"), ("big5", "訓練損失")])
def test_text_of_chinese_consoles_is_read(encoding, word):
    assert "0.5" in decoded(f"{word}: 0.5\n".encode(encoding))


def test_gbk_is_read_as_it_was_written():
    assert decoded("训练损失: 0.5".encode("gbk")) == "训练损失: 0.5"


def test_a_file_cut_inside_a_character_loses_only_that():
    assert decoded("loss ✓".encode()[:-1]).startswith("loss ")


def test_colours_and_titles_are_taken_away_and_returns_are_lines():
    assert lines(b"\x1b[31mloss\x1b[0m 1\r\x1b]0;title\x07loss 2\r\nloss 3") == [
        "loss 1",
        "loss 2",
        "loss 3",
    ]


def test_text_is_told_from_binary():
    assert is_text(b"loss: 1\n") and is_text("loss".encode("utf-16"))
    assert not is_text(b"\x89PNG\r\n\x1a\n" + bytes(range(64))) and not is_text(b"")


def test_a_restart_writes_its_steps_anew():
    run = assembled("r", {"loss": readings([0, 1, 2, 3, 2, 3, 4], [9, 8, 7, 6, 5, 4, 3])}, "x")
    series = run.series["loss/loss"]
    assert series.step.tolist() == [0, 1, 2, 3, 4]
    assert series.value.tolist() == [9, 8, 5, 4, 3]


def test_the_log_s_own_names_are_kept_as_facts():
    run = assembled("r", {"train/loss": readings([0, 1])}, "x", unit="epoch")
    assert run.facts == {
        "source/format": "x",
        "step/unit": "epoch",
        "logged/loss/loss": "train/loss",
    }
    assert run.roles == {"loss/loss": "loss"}


def test_roles_said_later_rename_the_series():
    run = assembled("r", {"score": readings([0, 1]), "loss": readings([0, 1])}, "x")
    said = with_roles(run, {"score": "validation", "not there": "loss"})
    assert "metric/val/score" in said.series and said.roles["metric/val/score"] == "validation"
    assert said.series["metric/val/score"].name == "metric/val/score"
    assert with_roles(said, {"metric/val/score": "other"}).roles["other/score"] == "other"


def test_steps_beyond_what_can_be_counted_are_refused():
    with pytest.raises(UnreadableRunError, match="damaged"):
        assembled("r", {"loss": readings([2**60, 2**61])}, "x")


def test_more_series_than_are_read_are_refused(monkeypatch):
    monkeypatch.setattr("unstuck.reading.assemble.MOST_SERIES", 3)
    with pytest.raises(UnreadableRunError, match="more than are read"):
        assembled("r", {f"loss{i}": readings([0, 1]) for i in range(4)}, "x")


def test_names_of_a_megabyte_are_shortened():
    run = assembled("r", {"x" * 1_000_000: readings([0, 1])}, "x")
    assert len(next(iter(run.series))) < 2 * bounds.LONGEST_NAME


def test_cells_without_a_number_are_absent_and_nan_is_a_reading():
    run = tabled(
        "t", {"step": Column.of(["0", "1", "2"]), "loss": Column.of(["1", "", "nan"])}, "csv"
    )
    assert run.series["loss/loss"].step.tolist() == [0, 2]
    assert np.isnan(run.series["loss/loss"].value[1])


def test_steps_that_start_anew_each_epoch_are_counted_on():
    columns = {"epoch": [0, 0, 1, 1], "step": [0, 5, 0, 5], "loss": [4, 3, 2, 1]}
    run = tabled("t", {n: Column.of(c) for n, c in columns.items()}, "csv")
    assert run.series["loss/loss"].step.tolist() == [0, 5, 6, 11]


def test_a_table_without_steps_is_numbered_by_epochs_or_rows():
    by_epoch = tabled("t", {"epoch": Column.of([1, 2]), "loss": Column.of([4, 3])}, "csv")
    assert by_epoch.facts["step/unit"] == "epoch"
    assert by_epoch.series["loss/loss"].step.tolist() == [1, 2]
    assert tabled("t", {"loss": Column.of([4, 3])}, "csv").facts["step/unit"] == "row"


def test_numbers_as_people_write_them():
    cells = ["1e-3", " 2 ", "50%", "inf", "-", None, True, 10**400, "9" * 500]
    column = Column.of(cells)
    assert column.value[:4].tolist() == [0.001, 2.0, 0.5, np.inf]
    assert column.present.tolist() == [True] * 4 + [False, False, True, False, False]


def test_files_larger_than_what_is_read_are_refused(tmp_path):
    file = tmp_path / "log"
    file.write_bytes(b"x" * 100)
    with pytest.raises(UnreadableRunError, match="give a shorter part"):
        bounds.content(file, most=99)
    with pytest.raises(UnreadableRunError, match="cannot be read"):
        bounds.content(tmp_path / "missing")
