"""Event files as their writers wrote them, and as disks and strangers leave them."""

import json
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest

from unstuck.load import load, load_all
from unstuck.reading.checksums import crc32c
from unstuck.records import Run
from unstuck.source import UnreadableRunError
from unstuck.sources.tensorboard import tensorboard

LOGS = Path(__file__).resolve().parents[1] / "logs" / "tensorboard"
EXPECTED = json.loads((Path(__file__).parent / "tensorboard_expected.json").read_text())
BEGAN = 1_700_000_000.0


def by_logged_name(run: Run) -> dict:
    return {str(run.facts[f"logged/{name}"]): series for name, series in run.series.items()}


def told(series) -> list[float]:
    return [len(series), *(float(part.sum()) for part in (series.step, series.value, series.wall))]


def bytes_field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2, len(content)]) + content


def event(tag: bytes, value: bytes, step: int = 0, wall: float = BEGAN, more: bytes = b"") -> bytes:
    summary = bytes_field(1, bytes_field(1, tag) + value + more)
    number = bytes([step]) if step < 128 else bytes([step & 0x7F | 0x80, step >> 7])
    return b"\x09" + struct.pack("<d", wall) + b"\x10" + number + bytes_field(5, summary)


def simple(value: float) -> bytes:
    return b"\x15" + struct.pack("<f", value)


def framed(data: bytes) -> bytes:
    def masked(part: bytes) -> bytes:
        crc = crc32c(part)
        return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)

    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + masked(data)


def file_of(folder: Path, *events: bytes, number: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"events.out.tfevents.{BEGAN + number:.0f}.host.{number}"
    first = b"\x09" + struct.pack("<d", BEGAN) + bytes_field(3, b"brain.Event:2")
    file.write_bytes(b"".join(framed(e) for e in (first, *events)))
    return file


@pytest.mark.parametrize("sample", ["torch", "torch-tensors", "tensorboardx", "tensorflow"])
def test_every_scalar_has_the_readings_tensorboard_reads(sample):
    found = by_logged_name(load(LOGS / sample))
    for tag, numbers in EXPECTED[sample].items():
        assert told(found[tag]) == pytest.approx(numbers, rel=1e-12), tag


def test_runs_below_a_folder_are_runs_of_their_own():
    runs = {run.name: run for run in load_all(LOGS / "torch-sweep")}
    assert set(runs) == {"lr-0.1", "lr-0.5", "older/lr-1.0"}
    for name, run in runs.items():
        wanted = EXPECTED[f"torch-sweep/{name}"]
        assert told(by_logged_name(run)["train/loss"]) == pytest.approx(wanted["train/loss"])


@pytest.mark.parametrize(
    ("sample", "tag", "places"),
    [
        ("torch", "both/loss", ("both_loss_train", "both_loss_val")),
        ("tensorboardx", "both", ("both/train", "both/val")),
    ],
)
def test_what_add_scalars_wrote_belongs_to_its_run(sample, tag, places):
    runs = load_all(LOGS / sample)
    assert len(runs) == 1
    found = by_logged_name(runs[0])
    for key, place in zip(("train", "val"), places, strict=True):
        assert told(found[f"{tag}/{key}"]) == pytest.approx(EXPECTED[f"{sample}/{place}"][tag])
    assert runs[0].roles[found[f"{tag}/val"].name] == "validation"


def test_what_add_hparams_wrote_is_the_recipe():
    recipe = {"lr": 0.5, "batch_size": 16, "optimizer": "sgd", "nesterov": False}
    assert load(LOGS / "torch").recipe == recipe
    assert load(LOGS / "tensorboardx").recipe == recipe
    assert load(LOGS / "tensorboardx").recipe["nesterov"] is False
    assert not any("hparam" in name for name in load(LOGS / "torch").series)


def test_a_recipe_lies_beside_the_events_of_lightning():
    run = load(LOGS / "lightning")
    assert run.recipe["lr"] == 0.5
    assert {"loss/loss", "metric/val/loss", "epoch"} <= set(run.series)
    assert run.series["metric/val/loss"].step.tolist() == [31, 63, 95, 127]


@pytest.mark.parametrize(
    ("sample", "train", "val", "unit"),
    [
        ("torch-splits", "loss/loss", "metric/val/loss", "step"),
        ("keras", "loss/epoch_loss", "metric/val/epoch_loss", "epoch"),
    ],
)
def test_directories_of_training_and_validation_are_one_run(sample, train, val, unit):
    (run,) = load_all(LOGS / sample)
    assert run.name == sample and run.facts["step/unit"] == unit
    other = "validation" if sample == "keras" else "val"
    tag = "epoch_loss" if sample == "keras" else "loss"
    for split, name in (("train", train), (other, val)):
        assert told(run.series[name]) == pytest.approx(EXPECTED[f"{sample}/{split}"][tag])


def test_splits_are_one_run_below_a_folder_of_runs_too(tmp_path):
    file_of(tmp_path, event(b"loss", simple(1.0)))
    shutil.copytree(LOGS / "torch-splits", tmp_path / "first")
    runs = {run.name: run for run in tensorboard.read(tmp_path)}
    assert set(runs) == {tmp_path.name, "first"}
    assert set(runs["first"].series) == {"loss/loss", "metric/val/loss"}


def test_after_a_restart_the_later_readings_count():
    series = by_logged_name(load(LOGS / "torch-restarts"))
    loss = series["train/loss"]
    assert loss.step.tolist() == list(range(70))
    three = [0, 0, 0]
    for i, file in enumerate(sorted((LOGS / "torch-restarts").iterdir())):
        alone = by_logged_name(load(file))["train/loss"]
        for step, value in zip(alone.step.tolist(), alone.value.tolist(), strict=True):
            here = int(np.flatnonzero(loss.step == step)[0])
            three[i] += loss.value[here] == value
    assert three == [40, 10, 20]


def test_a_restart_that_says_so_voids_what_came_before_it_in_all_series():
    series = by_logged_name(load(LOGS / "torch-restarts"))
    assert series["only/before"].step.tolist() == [10]


def test_a_last_record_that_is_cut_off_is_left_out_and_told():
    run = load(LOGS / "torch-killed")
    assert "cut off" in str(run.facts["source/remark"])
    lengths = {tag: len(series) for tag, series in by_logged_name(run).items()}
    assert sorted(lengths.values()) == [59, 60, 60, 60, 60]


def test_a_flipped_bit_costs_one_reading_and_is_told(tmp_path):
    events = [event(b"loss", simple(10.0 - i), step=i) for i in range(8)]
    file = file_of(tmp_path / "run", *events)
    data = bytearray(file.read_bytes())
    data[16 - len(framed(events[-1]))] ^= 4  # in the wall time of the last event
    file.write_bytes(data)
    run = load(tmp_path / "run")
    assert run.series["loss/loss"].step.tolist() == list(range(7))
    assert "left out: 1" in str(run.facts["source/remark"])


def test_a_damaged_length_ends_the_file_and_is_told(tmp_path):
    events = [event(b"loss", simple(10.0 - i), step=i) for i in range(8)]
    file = file_of(tmp_path / "run", *events)
    size = len(framed(events[0]))
    data = bytearray(file.read_bytes())
    data[-3 * size] ^= 1
    file.write_bytes(data)
    run = load(tmp_path / "run")
    assert run.series["loss/loss"].step.tolist() == [0, 1, 2, 3, 4]
    assert "damaged" in str(run.facts["source/remark"])


def test_scalars_without_a_step_are_numbered_by_themselves():
    run = load(LOGS / "torch-unnumbered")
    assert run.facts["step/unit"] == "row"
    assert run.series["loss/loss"].step.tolist() == list(range(60))
    assert float(run.series["loss/loss"].value.sum()) == pytest.approx(
        EXPECTED["torch-unnumbered"]["loss"][2]
    )


CONTENT, FLOATS = 4, 5
TENSORS = {  # DataType, field, its bytes, the number they stand for
    "float32 in memory": (1, CONTENT, struct.pack("<f", 0.5), 0.5),
    "float32": (1, FLOATS, struct.pack("<f", -2.5), -2.5),
    "float64": (2, 6, struct.pack("<d", 1e-300), 1e-300),
    "int32": (3, 7, b"\x96\x01", 150.0),
    "int32 in memory": (3, CONTENT, struct.pack("<i", -7), -7.0),
    "int64, negative": (9, 10, b"\xff" * 9 + b"\x01", -1.0),
    "float16": (19, 13, b"\x80\x70", 0.5),  # 0x3800
    "bfloat16 in memory": (14, CONTENT, b"\x80\x3f", 1.0),
    "truth": (10, 11, b"\x01", 1.0),
}


@pytest.mark.parametrize("kind", TENSORS)
def test_a_tensor_of_one_number_is_a_scalar(tmp_path, kind):
    code, number, content, value = TENSORS[kind]
    tensor = bytes_field(8, bytes([0x08, code]) + bytes_field(number, content))
    scalars = bytes_field(9, bytes_field(1, bytes_field(1, b"scalars")))
    file_of(
        tmp_path / "run",
        event(b"loss", tensor, step=3, more=scalars),
        event(b"loss", tensor, step=4),  # only the first says what it is
        event(b"unknown", tensor, step=4),
    )
    run = load(tmp_path / "run")
    assert set(run.series) == {"loss/loss"}
    assert run.series["loss/loss"].step.tolist() == [3, 4]
    assert run.series["loss/loss"].value.tolist() == [value, value]


def test_one_event_may_hold_several_scalars_beside_a_picture(tmp_path):
    picture = bytes_field(1, bytes_field(1, b"image") + b"\x22\x03abc")
    both = b"".join(
        bytes_field(1, bytes_field(1, tag) + simple(value))
        for tag, value in ((b"train/loss", 2.0), (b"val/loss", 3.0))
    )
    wall = b"\x09" + struct.pack("<d", BEGAN)
    file_of(tmp_path / "run", wall + b"\x10\x05" + bytes_field(5, picture + both))
    run = load(tmp_path / "run")
    assert {n: (s.step[0], s.value[0]) for n, s in run.series.items()} == {
        "loss/loss": (5, 2.0),
        "metric/val/loss": (5, 3.0),
    }


def test_scalars_of_many_tags_between_texts_of_the_same_length_keep_their_own(tmp_path):
    events = []
    for step in range(100, 160):  # steps of one byte and of two
        for tag in range(30):
            name = b"loss%02d" % tag + b"x" * (tag % 2 + (step < 128))
            events.append(event(name.rstrip(b"x"), simple(100 * tag + step), step))
            events.append(event(name, b"\x22\x03abc", step))
    file_of(tmp_path / "run", *events)
    found = by_logged_name(load(tmp_path / "run"))
    assert len(found) == 30
    for tag in range(30):
        assert found[f"loss{tag:02d}"].step.tolist() == list(range(100, 160))
        assert (found[f"loss{tag:02d}"].value == 100 * tag + np.arange(100, 160)).all()


def test_not_a_number_is_a_reading(tmp_path):
    values = [1.0, float("nan"), float("inf")]
    file_of(tmp_path / "run", *(event(b"loss", simple(v), i) for i, v in enumerate(values)))
    np.testing.assert_array_equal(load(tmp_path / "run").series["loss/loss"].value, values)


def test_files_are_read_in_the_order_of_their_numbers(tmp_path):
    for number in range(9, 12):  # the 9th sorts behind the 11th as text
        events = [event(b"loss", simple(float(number)), step) for step in range(12 - number)]
        file = file_of(tmp_path / "run", *events, number=number)
        file.rename(file.with_name(f"events.out.tfevents.1700000000.host.{number}"))
    assert load(tmp_path / "run").series["loss/loss"].value.tolist() == [11.0]


def test_a_name_of_any_kind_and_length_is_read(tmp_path):
    odd = b"<script>\n\x1b[31m\xff"
    file_of(tmp_path / "run", event(odd, simple(1.0)), event(b"a" * 90, simple(1.0)))
    assert len(load(tmp_path / "run").series) == 2


@pytest.mark.parametrize(
    ("events", "reason"),
    [((), "without a scalar"), ((event(b"image", b"\x22\x03abc"),), "without a scalar")],
)
def test_a_run_without_scalars_says_so(tmp_path, events, reason):
    file_of(tmp_path / "run", *events)
    with pytest.raises(UnreadableRunError, match=reason):
        load(tmp_path / "run")


def test_an_empty_event_file_says_so(tmp_path):
    (tmp_path / "events.out.tfevents.1.host").write_bytes(b"")
    with pytest.raises(UnreadableRunError, match="without a scalar"):
        load(tmp_path)


def test_a_file_is_known_by_its_bytes_and_not_by_its_name(tmp_path):
    (tmp_path / "events.out.tfevents.1.host").write_text("loss: 1\n" * 9)
    assert not tensorboard.knows(tmp_path)
    copy = tmp_path / "log.bin"
    shutil.copy(next((LOGS / "torch-sweep/lr-0.1").iterdir()), copy)
    assert tensorboard.knows(copy)
    assert len(tensorboard.read(copy)[0].series) == 5
