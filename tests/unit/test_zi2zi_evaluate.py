"""Figures of what a run left: right, with all they depend on, or one line on bad input."""

import json
import zipfile

import numpy as np
import pytest
from zi2zi_runs import bars, left

from unstuck.cases.zi2zi import evaluate, held_out
from unstuck.cases.zi2zi.recipe import PRESETS, Recipe
from unstuck.data import mobilenet
from unstuck.data.package import cache

cached = (cache() / f"{mobilenet.PACKAGE.name}-{mobilenet.PACKAGE.version}").is_dir()
needs_weights = pytest.mark.skipif(not cached, reason="the weights of MobileNetV2 are not cached")


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """Tables as wide as they want, whatever terminal an earlier test asked for."""
    monkeypatch.delenv("COLUMNS", raising=False)


def cells(printed, start):
    (line,) = [s for s in printed.splitlines() if s.startswith(f"│ {start}")]
    return [cell.strip() for cell in line.split("│")[1:-1]]


@needs_weights
def test_the_figures_are_those_of_the_pictures(tmp_path, capsys):
    folder = left(tmp_path / "run")
    words = [str(folder), "--ocr", "0", "--baseline", "copy", "--json", str(tmp_path / "all.json")]
    assert evaluate.main(words) == 0
    own, copied = json.loads((tmp_path / "all.json").read_text())["figures"]
    kept = {k: v for k, v in np.load(folder / "held_out.npz").items() if v.dtype == np.uint8}
    real = kept["target"].astype(float) / 255
    for one, name in ((own, "prediction"), (copied, "input")):
        each = np.abs(kept[name] / 255 - real).mean((1, 2))
        assert one["figures"]["l1"] == pytest.approx(each.mean(), abs=1e-6)
        low, high = one["intervals"]["l1"]
        assert low < each.mean() < high
        assert high - low == pytest.approx(2 * 2.201 * each.std(ddof=1) / 12**0.5, rel=1e-3)
    for name in ("l1", "ssim", "perceptual"):  # sets of bars are alike, whichever they are
        better = -1 if name == "ssim" else 1
        assert better * own["figures"][name] < better * copied["figures"][name]
    printed = capsys.readouterr().out
    row = cells(printed, "repaired")
    assert "12 held-out characters, 64 px, sample" in printed
    assert row[:2] == ["repaired", "1"]
    assert row[2] == f"{own['figures']['l1']:.4f}"
    assert row[-1] == "0.75"
    assert cells(printed, "copy source")[-1] == "-"


@needs_weights
def test_seeds_are_a_mean_and_an_interval(tmp_path, capsys):
    runs = [left(tmp_path / str(s), seed=s, noise=0.1 + 0.02 * s) for s in range(3)]
    assert evaluate.main([*map(str, runs), "--ocr", "0"]) == 0
    printed = capsys.readouterr().out
    each = [evaluate.l1(run.drawn, run.target).mean().item() for run in map(held_out.read, runs)]
    assert cells(printed, "repaired")[1:3] == ["3", f"{np.mean(each):.4f}"]
    half = 4.303 * np.std(each, ddof=1) / 3**0.5  # t of two degrees of freedom
    lines = printed.splitlines()
    below = lines[1 + next(i for i, line in enumerate(lines) if "repaired" in line)]
    assert below.split("│")[3].strip() == f"± {half:.4f}"
    assert evaluate.main([str(runs[0]), str(runs[0]), "--ocr", "0"]) == 2
    assert "two runs of repaired have one seed" in capsys.readouterr().err


def test_a_form_is_told_from_its_data():
    assert held_out.form(Recipe(held_out=20, threads=2)) == "repaired"
    assert held_out.form(Recipe(l1=50.0, target_x=2)) == "repaired, target_x=2, l1=50"
    assert {held_out.form(preset) for preset in PRESETS.values()} == set(PRESETS)
    assert held_out.fonts(Recipe(source="/a/A.ttf", target="B.ttf")) == "A.ttf -> B.ttf"


def one_line(words, capsys):
    assert evaluate.main([*map(str, words), "--ocr", "0"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    return printed.err


def test_a_folder_without_a_run_is_one_line(tmp_path, capsys):
    assert "holds no finished zi2zi run" in one_line([tmp_path], capsys)
    folder = left(tmp_path / "run")
    (folder / "held_out.npz").unlink()
    assert "holds no pictures left by `train --out`" in one_line([folder], capsys)


@pytest.mark.parametrize(
    ("changes", "said"),
    (
        ({"target": np.zeros((12, 64, 64), np.float32)}, "target is float32"),
        ({"prediction": bars(12, size=32)}, "prediction is uint8 of shape (12, 32, 32)"),
        ({"input": bars(11)}, "not equally many"),
        ({"characters": np.array(["a", b"b"], dtype=object)}, "pickle"),
        ({"styles": np.zeros((12, 1), np.int64)}, "not equally many"),
        ({"styles": np.array(["x"] * 12)}, "invalid literal"),
    ),
)
def test_arrays_that_do_not_fit_are_one_line(tmp_path, capsys, changes, said):
    folder = left(tmp_path / "run")
    kept = dict(np.load(folder / "held_out.npz")) | changes
    np.savez(folder / "held_out.npz", **kept)
    assert said in one_line([folder], capsys)


def test_an_archive_that_would_fill_the_memory_is_not_unpacked(tmp_path, capsys):
    folder = left(tmp_path / "run")
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (900000000000, 64, 64), }"
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    with zipfile.ZipFile(folder / "held_out.npz", "w") as packed:
        packed.writestr(
            "target.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
        )
    assert "more than 2,000,000,000 bytes" in one_line([folder], capsys)


def test_damaged_files_are_one_line(tmp_path, capsys):
    folder = left(tmp_path / "run")
    whole = (folder / "held_out.npz").read_bytes()
    (folder / "held_out.npz").write_bytes(whole[: len(whole) // 2])
    assert "holds no pictures" in one_line([folder], capsys)
    (folder / "recipe.json").write_text('{"ngf": "many"}')
    assert "ngf" in one_line([folder], capsys)


def test_ocr_of_fewer_than_none_is_refused(tmp_path, capsys):
    assert evaluate.main([str(left(tmp_path / "run")), "--ocr", "-1"]) == 2
    assert "--ocr needs a number" in capsys.readouterr().err


@needs_weights
def test_one_character_has_no_spread(tmp_path, capsys):
    folder = left(tmp_path / "run", n=1)
    assert evaluate.main([str(folder), "--ocr", "0", "--json", str(tmp_path / "all.json")]) == 0
    (one,) = json.loads((tmp_path / "all.json").read_text())["figures"]
    assert one["intervals"] == {}
    assert set(one["figures"]) == {"l1", "ssim", "perceptual", "d_accuracy"}
    assert "1 held-out characters" in capsys.readouterr().out
