"""What every source promises. Each check takes a source and raises AssertionError.

The samples in tests/logs/<source>/ were written by the real programs (scripts/log_samples).
"""

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from unstuck import catalog
from unstuck.load import load_all, places
from unstuck.naming import ROLES
from unstuck.records import Run
from unstuck.source import Source, UnreadableRunError
from unstuck.vocabulary import meaning_of

LOGS = Path(__file__).resolve().parents[1] / "logs"
SECTIONS = ("What is read", "How it is recognised", "What is left out", "References")
MOST_BYTES = 700_000  # of one source's samples
CUTS = 12  # places at which every file of a sample is cut off
MACHINE = re.compile(rb"/(?:tmp|home|root|work|Users|mnt|data)/[A-Za-z]")
NO_LOGS = {
    "nothing": b"",
    "noise": bytes((i * 167 + i // 251) % 256 for i in range(4_000)),
    "picture.png": b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8,
    "README.md": b"# A project\n\nTrain with `python train.py --lr 1e-3`. The loss: it falls.\n"
    * 9,
    "program.py": b"def main():\n    loss = 3.0\n    for step in range(10):\n        loss -= 1\n"
    * 9,
    "settings.json": b'{"lr": 0.1, "layers": [1, 2, 3], "name": "x"}',
    "people.csv": b"name,city\nann,oslo\nbob,rome\ncarl,bonn\n",
}


def samples(source: Source) -> list[Path]:
    folder = LOGS / source.name
    return (
        sorted(p for p in folder.iterdir() if p.is_dir() or p.is_file()) if folder.exists() else []
    )


def files_of(sample: Path) -> list[Path]:
    return [sample] if sample.is_file() else sorted(p for p in sample.rglob("*") if p.is_file())


def copied(sample: Path, folder: str) -> Path:
    """A copy of a sample that may be damaged."""
    target = Path(folder) / sample.name
    if sample.is_file():
        shutil.copyfile(sample, target)
    else:
        shutil.copytree(sample, target)
    return target


def answer(path: Path) -> list[Run]:
    """The runs at a path; none where it is refused in one line, as a damaged one may be."""
    try:
        return load_all(path)
    except UnreadableRunError as error:
        assert str(error) and len(str(error).splitlines()) == 1, str(error)
        return []


def runs(source: Source) -> Iterator[Run]:
    for sample in samples(source):
        yield from load_all(sample)


# Checks --------------------------------------------------------------------------------


def check_page_opens_with_name_and_has_every_section(source):
    assert re.match(rf"{source.name}: .+[.]\n\n", source.page)
    assert tuple(re.findall(r"^## (.+)$", source.page, re.M)) == SECTIONS


def check_samples_are_there_and_small(source):
    found = samples(source)
    assert found, f"no sample in tests/logs/{source.name}"
    assert sum(f.stat().st_size for s in found for f in files_of(s)) <= MOST_BYTES


def check_samples_name_no_machine(source):
    for sample in samples(source):
        for file in files_of(sample):
            assert not MACHINE.search(file.read_bytes()), file


def check_samples_are_read_by_this_source(source):
    for sample in samples(source):
        assert {p.source.name for p in places(sample)} == {source.name}, sample
        assert load_all(sample), sample


def check_series_are_named_as_in_the_glossary(source):
    for run in runs(source):
        assert run.series and all(meaning_of(name) for name in run.series), sorted(run.series)
        assert set(run.roles.values()) <= set(ROLES) and set(run.roles) <= set(run.series)
        assert any(not name.startswith("other/") for name in run.series), sorted(run.series)


def check_says_what_it_read(source):
    for run in runs(source):
        assert run.facts.get("source/format", "unstuck-run") == source.name
        assert run.name


def check_reads_the_same_twice(source):
    for sample in samples(source):
        assert load_all(sample) == load_all(sample)


def check_reading_changes_no_file(source):
    for sample in samples(source):
        with tempfile.TemporaryDirectory() as folder:
            path = copied(sample, folder)
            before = {f: f.read_bytes() for f in files_of(Path(folder))}
            answer(path)
            assert {f: f.read_bytes() for f in files_of(Path(folder))} == before


def check_a_file_cut_off_anywhere_gives_runs_or_one_line(source):
    for sample in samples(source):
        with tempfile.TemporaryDirectory() as folder:
            path = copied(sample, folder)
            for file in files_of(path):
                whole = file.read_bytes()
                for i in range(CUTS):
                    file.write_bytes(whole[: len(whole) * i // CUTS])
                    answer(path)
                file.write_bytes(whole)


def check_a_log_without_its_end_gives_what_came_before(source):
    """Whoever looks at a run that was killed wants to see it."""
    for sample in samples(source):
        with tempfile.TemporaryDirectory() as folder:
            path = copied(sample, folder)
            largest = max(files_of(path), key=lambda f: f.stat().st_size)
            if source.name in WHOLE_FILES:
                continue
            largest.write_bytes(largest.read_bytes()[:-3])
            assert answer(path), f"{largest.name} of {sample.name} without its last bytes"


WHOLE_FILES = {  # formats that are written at once and cannot be read in part
    "parquet-table",
    "trainer-state",
    "keras-history",
    "mlflow-store",
    "unstuck-run",
}


def check_other_files_are_not_known(source):
    with tempfile.TemporaryDirectory() as folder:
        assert not source.knows(Path(folder) / "missing")
        assert not source.knows(Path(folder))
        for name, content in NO_LOGS.items():
            file = Path(folder) / name
            file.write_bytes(content)
            assert not source.knows(file), name


CHECKS = tuple(value for name, value in list(globals().items()) if name.startswith("check_"))


def every_source() -> tuple[Source, ...]:
    return catalog.sources()
