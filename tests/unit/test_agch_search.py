"""A trained run asked on the command line: evaluated, drawn, searched by words and by a picture."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from unstuck.cases.agch import codes, dataset, grids, search
from unstuck.cases.agch.model import trained
from unstuck.data import mobilenet, package


def rows_of(relevant, count):
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    found = [grids.Item(f"item {i}", picture, note="3 bits", relevant=relevant) for i in range(10)]
    return [grids.Row(grids.Item("red", words=["red", "fruit"]), found)] * count


def test_a_grid_frames_what_is_relevant_and_stays_small(tmp_path):
    seen = {}
    for relevant, colour in grids.COLOURS.items():
        file = tmp_path / f"{relevant}.png"
        grids.grid(file, rows_of(relevant, 6 if relevant else 1), "noise does not shrink")
        assert file.stat().st_size <= grids.MOST_BYTES
        with Image.open(file) as picture:
            pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3).astype(int)
        wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        seen[relevant] = int((np.abs(pixels - wanted).max(1) < 12).sum())
    assert min(seen.values()) > 500  # each frame is there in its own colour


def picture_file(path, size=(40, 20), mode="RGBA", colour=(0, 0, 0, 0)):
    Image.new(mode, size, colour).save(path)
    return path


def test_a_picture_is_put_on_white_and_kept_in_shape(tmp_path):
    clear = search.opened(picture_file(tmp_path / "clear.png"))
    assert clear.shape == (search.SIDE, search.SIDE, 3) and (clear == 255).all()
    black = search.opened(picture_file(tmp_path / "black.png", colour=(0, 0, 0, 255)))
    dark = (black < 128).all(2)
    assert dark[search.SIDE // 2].all()  # as wide as the square
    assert dark[:, 0].sum() == search.SIDE // 2  # and half as high
    thin = search.opened(picture_file(tmp_path / "thin.png", (20_000, 1), "L", 0))
    assert thin.shape == (search.SIDE, search.SIDE, 3)


def test_files_that_are_no_pictures_give_one_line(tmp_path, monkeypatch):
    text = tmp_path / "text.png"
    text.write_text("no picture")
    with pytest.raises(ValueError, match="cannot be read as PNG, JPEG or WebP"):
        search.opened(text)
    picture_file(tmp_path / "gif.gif", mode="RGB", colour=0)
    with pytest.raises(ValueError, match="cannot be read"):
        search.opened(tmp_path / "gif.gif")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 600)
    for size in ((40, 20), (400, 200)):  # Pillow warns of the first and refuses the second
        with pytest.raises(ValueError, match="more than 600 pixels"):
            search.opened(picture_file(tmp_path / "bomb.png", size))
    monkeypatch.setattr(search, "MOST_BYTES", 9)
    with pytest.raises(ValueError, match="larger than"):
        search.opened(text)


def test_unknown_words_are_told_and_the_known_ones_asked(capsys):
    vocabulary = ("apple", "fruit", "red")
    assert search.known_words("a Red appel", vocabulary) == ["red"]
    assert capsys.readouterr().err == (
        "not known to this run: a, appel; known words like it: apple\n"
    )
    with pytest.raises(ValueError, match=r"no word of 'appel' is known.*like it: apple"):
        search.known_words("appel", vocabulary)
    with pytest.raises(ValueError, match="letters"):
        search.known_words("red " * 1000, vocabulary)


def command(*words, cwd):
    return subprocess.run(
        [sys.executable, "-m", "unstuck", "case", *map(str, words)],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "150", "OMP_NUM_THREADS": "1"},
    )


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A real run, recorded as a user does it."""
    folder = tmp_path_factory.mktemp("tiny")
    done = command("run", "--record", "tiny", "agch", "--preset", "tiny", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_a_trained_run_is_evaluated_beside_the_baselines(tiny):
    words = ("tiny", "--baselines", "--json", "all.json", "--out", "pictures")
    done = command("eval", "agch", *words, cwd=tiny)
    assert done.returncode == 0, done.stderr
    told = json.loads((tiny / "all.json").read_text())
    found = {one["method"]: one["figures"] for one in told["figures"]}
    assert {"tiny", "random", "constant", "lsh", "cca-itq", "djsrh", "features"} < set(found)
    metrics = json.loads((tiny / "tiny" / "output" / "metrics.json").read_text())
    for way in codes.WAYS:
        own = found["tiny"][f"{way}/mAP@all"]
        assert own == pytest.approx(metrics[f"map_{way.replace(' ', '_')}"])
        assert own > found["random"][f"{way}/mAP@all"] + 0.05
    assert 0 < told["health"][0]["measures"]["image/unique_share"] <= 1
    files = sorted(file.name for file in (tiny / "pictures").iterdir())
    assert files == sorted(
        [f"{name}.png" for name in ("recall", "precision", "similarity", "places")]
        + ["found-image-to-text.png", "found-text-to-image.png"]
    )
    assert max(file.stat().st_size for file in (tiny / "pictures").iterdir()) <= grids.MOST_BYTES


def test_a_trained_run_is_searched_by_words_and_by_a_picture(tiny):
    done = command("search", "agch", "tiny", "red fruit zzzz", "--out", "found.png", cwd=tiny)
    assert done.returncode == 0, done.stderr
    assert "not known to this run: zzzz" in done.stderr
    assert "of 10 have the label" in done.stdout
    distances = [int(s.split("│")[3]) for s in done.stdout.splitlines() if s[2:4].strip().isdigit()]
    assert len(distances) == 10 and distances == sorted(distances)
    with Image.open(tiny / "found.png") as drawn:
        assert drawn.width > 1000


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("qqqq",), "no word of 'qqqq' is known"),
        (("none.png",), "there is no file none.png"),
        (("red", "--top", "0"), "--top must be at least 1"),
        ((), "give words or the file of a picture"),
    ],
)
def test_what_cannot_be_asked_gives_one_line(tiny, capsys, words, said):
    assert search.main([str(tiny / "tiny"), *words]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_a_picture_gets_the_code_its_item_has(tiny, monkeypatch, capsys):
    monkeypatch.delenv("UNSTUCK_CACHE")
    if not (package.cache() / f"{mobilenet.PACKAGE.name}-{mobilenet.PACKAGE.version}").exists():
        pytest.skip("the weights of MobileNetV2 are not in the cache")
    run = codes.read(tiny / "tiny")
    hasher, count = trained(run.folder)[0], 16
    there = torch.from_numpy(run.keys["database"][:count])
    asked = []
    for i, pixels in enumerate(dataset.pictures(run.recipe, there)):
        file = tiny / f"asked-{i}.png"
        Image.fromarray(pixels).save(file)
        inputs = search.image_features(search.opened(file), len(hasher.image_mean))
        asked.append(search.coded(hasher.images, inputs)[0])
    kept = run.signs["database_image"][:count]
    assert (np.array(asked) != kept).mean() < 0.3  # by chance it is half of the bits
    assert search.main([str(tiny / "tiny"), "--picture", str(file), "--top", "3"]) == 0
    assert "of 3 have the label" in capsys.readouterr().out


def test_a_case_without_such_programs_says_so(tmp_path):
    done = command("eval", "contrast", "run", cwd=tmp_path)
    assert done.returncode != 0 and "has no program evaluate" in done.stderr
    done = command("search", "contrast", "run", cwd=tmp_path)
    assert done.returncode != 0 and "has no search" in done.stderr
