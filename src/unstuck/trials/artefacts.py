"""The files of a run that took place on another machine, bounded, as one piece of bytes.

What comes back is untrusted: it is written below the run's own folder or not at all.
"""

import io
import os
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

MOST = 64_000_000  # bytes of all files of one run together, before they are compressed
MOST_FILES = 2_000
TAIL = 1_000_000  # bytes of what a run printed that are kept: the end says how it went
PRINTED = ("stdout", "stderr")
LEFT_OUT = "left-out.txt"


class UnsafeArtefactError(ValueError):
    """An archive that no run of ours has packed; the message names the entry."""


def packed(folder: Path, most: int = MOST) -> bytes:
    """Every regular file below `folder` as a ZIP archive, the smallest first, `most` bytes in all.

    Files that do not fit are named in `left-out.txt`; links are not followed and not packed.
    """
    buffer, left, skipped = io.BytesIO(), most, []
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, file in enumerate(sorted(_files(folder), key=_size)):
            name = file.relative_to(folder).as_posix()
            content = _content(file, name) if _size(file, name) <= left else None
            if content is None or len(content) > left or number >= MOST_FILES:
                skipped.append(f"{name} ({file.stat().st_size} bytes)")
                continue
            archive.writestr(name, content)
            left -= len(content)
        if skipped:
            archive.writestr(LEFT_OUT, "\n".join(skipped[:MOST_FILES]) + "\n")
    return buffer.getvalue()


def unpack(content: bytes, folder: Path, most: int = MOST) -> None:
    """Write the files of an archive below `folder`.

    Raises UnsafeArtefactError before anything is written where a name leads out of the folder, and
    where there is more than `packed` ever packs.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if len(entries) > MOST_FILES + 1 or sum(e.file_size for e in entries) > most + TAIL:
                raise UnsafeArtefactError("the files of a run are more than a run may have")
            targets = [_target(entry.filename, folder) for entry in entries]
            for entry, target in zip(entries, targets, strict=True):
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as source:
                    target.write_bytes(source.read(entry.file_size))
    except (zipfile.BadZipFile, NotImplementedError, OSError) as error:
        raise UnsafeArtefactError(f"the files of a run cannot be read: {error}") from error


def _target(name: str, folder: Path) -> Path:
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or ":" in parts[0]:
        raise UnsafeArtefactError(f"a file of a run would lie outside its folder: {name[:80]!r}")
    return folder.joinpath(*parts)


def _files(folder: Path) -> Iterator[Path]:
    for where, _, names in os.walk(folder, followlinks=False):
        for name in names:
            file = Path(where) / name
            if stat.S_ISREG(file.lstat().st_mode):
                yield file


def _size(file: Path, name: str = "") -> int:
    size = file.stat().st_size
    return min(size, TAIL) if name in PRINTED else size


def _content(file: Path, name: str) -> bytes:
    with file.open("rb") as source:
        if name in PRINTED:
            source.seek(max(0, file.stat().st_size - TAIL))
        return source.read()
