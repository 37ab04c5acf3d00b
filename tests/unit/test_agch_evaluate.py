"""Figures of what a run left: right, with all they depend on, or one line on bad input."""

import json
import zipfile

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from unstuck.cases.agch import codes, evaluate, pictures
from unstuck.cases.agch.recipe import PRESETS, Recipe

QUERIES, DATABASE, CLASSES, BITS = 12, 40, 4, 16


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """Tables as wide as they want, whatever terminal an earlier test asked for."""
    monkeypatch.delenv("COLUMNS", raising=False)


def left(folder, seed=0, flips=0.2, **changes):
    """A run's folder with codes of four classes, each bit turned with probability `flips`."""
    rng = np.random.default_rng(seed)
    centres = np.where(rng.random((CLASSES, BITS)) < 0.5, 1, -1)
    arrays = {}
    for side, items in (("query", QUERIES), ("database", DATABASE)):
        label = np.arange(items) % CLASSES
        for kind in ("image", "text"):
            turned = np.where(rng.random((items, BITS)) < flips, -1, 1)
            code = centres[label] * turned
            arrays[f"{side}_{kind}"] = code.astype(np.int8)
            spread = rng.uniform(0.2, 1, code.shape)
            arrays[f"{side}_{kind}_real"] = (code * spread).astype(np.float16)
        arrays[f"{side}_labels"] = np.eye(CLASSES, dtype=bool)[label]
        arrays[f"{side}_names"] = np.array([f"{side} {i}" for i in range(items)])
        arrays[f"{side}_keys"] = np.arange(items) + (DATABASE if side == "query" else 0)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "codes.npz", **(arrays | changes))
    recipe = PRESETS["repaired"].flat() | {"bits": BITS}
    (folder / "recipe.json").write_text(json.dumps(recipe))
    (folder / "metrics.json").write_text(json.dumps({"seed": float(seed)}))
    return folder


def slow_map(query, database, query_labels, database_labels, at):
    """One query and one item after the other; ties in the order of the database."""
    total = 0.0
    for code, label in zip(query, query_labels, strict=True):
        far = [int((code != other).sum()) for other in database]
        order = sorted(range(len(database)), key=lambda i: (far[i], i))
        hits, precisions = 0, []
        for place, i in enumerate(order[:at], 1):
            if (label & database_labels[i]).any():
                hits += 1
                precisions.append(hits / place)
        total += sum(precisions) / hits if hits else 0.0
    return total / len(query)


def test_the_figures_are_those_of_the_codes(tmp_path, capsys):
    folder = left(tmp_path / "run")
    words = [str(folder), "--at", "5", "--topn", "10", "--json", str(tmp_path / "all.json")]
    assert evaluate.main(words) == 0
    told = json.loads((tmp_path / "all.json").read_text())
    (one,) = told["figures"]
    kept = dict(np.load(folder / "codes.npz"))
    labels = kept["query_labels"], kept["database_labels"]
    for way, (asked, found) in codes.WAYS.items():
        for name, at in (("5", 5), ("50", 50), ("all", None)):
            wanted = slow_map(kept[asked], kept[found], *labels, at)
            assert one["figures"][f"{way}/mAP@{name}"] == pytest.approx(wanted)
    printed = capsys.readouterr().out
    for k in ("5", "50", "all"):
        (line,) = [s for s in printed.splitlines() if s.split("│")[1:2] and k == s[1:6].strip()]
        assert [cell.strip() for cell in line.split("│")[2:7]] == [
            "repaired", str(BITS), str(QUERIES), str(DATABASE), "1"
        ]  # fmt: skip


def test_ties_are_averaged_beside(tmp_path, capsys):
    one = np.ones((DATABASE, BITS), np.int8)
    folder = left(tmp_path, database_text=one, database_image=one)
    assert evaluate.main([str(folder), "--json", str(tmp_path / "all.json")]) == 0
    found = json.loads((tmp_path / "all.json").read_text())["figures"][0]["figures"]
    tied, ordered = found["image to text/mAP@all ties averaged"], found["image to text/mAP@all"]
    shuffled = []
    labels = np.arange(DATABASE) % CLASSES == 0  # every class is as frequent
    for seed in range(4000):
        hits = np.random.default_rng(seed).permutation(labels)
        shuffled.append(np.mean((np.cumsum(hits) / np.arange(1, DATABASE + 1))[hits]))
    assert tied == pytest.approx(np.mean(shuffled), abs=0.005)
    assert abs(ordered - tied) > 0.01  # the order of the database says something here


def test_seeds_are_a_mean_and_its_interval_by_form_and_bits(tmp_path, capsys):
    folders = [str(left(tmp_path / str(seed), seed)) for seed in range(4)]
    assert evaluate.main([*folders, "--json", str(tmp_path / "all.json")]) == 0
    told = json.loads((tmp_path / "all.json").read_text())["figures"]
    values = [one["figures"]["text to image/mAP@all"] for one in told]
    assert len(set(values)) == 4
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    shown = evaluate.mean_and_interval(values)
    assert shown == f"{np.mean(values):.3f} ({low:.3f} to {high:.3f})"
    printed = capsys.readouterr().out
    assert f"({low:.3f} to {high:.3f})" in printed
    assert evaluate.main([folders[0], folders[0]]) == 2
    assert "have one seed" in capsys.readouterr().err


def test_unbinarised_figures_only_when_asked_and_labelled(tmp_path, capsys):
    folder = str(left(tmp_path))
    evaluate.main([folder])
    assert "real" not in capsys.readouterr().out
    assert evaluate.main([folder, "--real"]) == 0
    printed = capsys.readouterr().out
    assert "16 real" in printed and "not what an index" in " ".join(printed.split())


def test_a_recorded_run_is_found_by_its_directory(tmp_path):
    left(tmp_path / "output")
    assert codes.read(tmp_path).folder == tmp_path / "output"


def test_a_form_is_named_by_its_preset_and_what_is_changed():
    for name, preset in PRESETS.items():
        assert codes.form(preset.model_copy(update={"bits": 128})) == name
    assert codes.form(Recipe(align=0.0)) == "repaired, align=0"
    assert codes.short(Recipe(align=0.0, beta=0.0)) == "repaired, 2 changes"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"query_image": np.zeros((QUERIES, BITS), np.int8)}, "other values than -1 and 1"),
        ({"query_image": np.ones((QUERIES - 1, BITS), np.int8)}, "shape (11, 16)"),
        ({"database_text": np.ones((DATABASE, 8), np.int8)}, "shape (40, 8), expected (40, 16)"),
        ({"query_text_real": np.full((QUERIES, BITS), np.nan, "f2")}, "no numbers"),
        ({"query_labels": np.ones((QUERIES, 2), bool)}, "different classes"),
        ({"database_keys": np.arange(3)}, "not equally many"),
        ({"query_names": np.array([object()] * QUERIES)}, "allow_pickle=False"),
    ],
)
def test_codes_that_do_not_fit_give_one_line(tmp_path, capsys, changes, said):
    folder = left(tmp_path, **changes)
    assert evaluate.main([str(folder)]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and "holds no codes" in error


def test_files_that_are_none_give_one_line(tmp_path, capsys):
    def refused(said):
        assert evaluate.main([str(tmp_path)]) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1

    refused("No such file")
    left(tmp_path)
    (tmp_path / "codes.npz").write_bytes(b"no archive")
    refused("not a zip file")
    left(tmp_path)
    header = b"{'descr': '|i1', 'fortran_order': False, 'shape': (99999999999, 64), }\n"
    with zipfile.ZipFile(tmp_path / "codes.npz", "w") as packed:  # promises what it has not
        packed.writestr("query_image.npy", b"\x93NUMPY\x01\x00" + b"\x48\x00" + header[:71] + b"\n")
    refused("bytes of arrays")
    left(tmp_path)
    whole = (tmp_path / "codes.npz").read_bytes()
    (tmp_path / "codes.npz").write_bytes(whole[: len(whole) // 2])
    refused("not a zip file")
    left(tmp_path)
    (tmp_path / "recipe.json").write_text('{"bits": 3}')
    refused("validation error")


@pytest.mark.parametrize("words", [["--at", "0"], ["--at", "-1"], ["--at", "some"], ["--topn", ""]])
def test_depths_that_are_none_give_one_line(tmp_path, capsys, words):
    assert evaluate.main([str(left(tmp_path)), *words[:1], "=".join(words[1:])]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_collapsed_codes_are_one_point_of_the_plane(tmp_path):
    one = np.ones((DATABASE, BITS), np.int8)
    shares = []
    for name, changes in (("one", {"database_image": one, "database_text": one}), ("many", {})):
        run = codes.read(left(tmp_path / name, **changes))
        pictures.places(tmp_path / "places.png", {name: run}, ())
        with Image.open(tmp_path / "places.png") as drawn:
            pixels = np.asarray(drawn.convert("RGB")).astype(int)
        height, width, _ = pixels.shape
        plane = pixels[height // 5 : 7 * height // 10, width // 20 : width // 4]  # PCA of images
        shares.append(float((np.ptp(plane, axis=2) > 40).mean()))  # of coloured pixels
    assert 0 < shares[0] < shares[1] / 2
