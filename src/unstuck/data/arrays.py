"""Arrays out of .npz files that anybody may have written."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

UNREADABLE = (
    OSError,
    EOFError,
    KeyError,
    TypeError,
    ValueError,
    OverflowError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)  # what files that were not written so lead to


def arrays(file: Path, most_bytes: int) -> dict[str, NDArray[Any]]:
    """Every array of an .npz file whose headers promise no more than it may take.

    Raises one of UNREADABLE, a ValueError where the promise is too large; nothing is unpickled.
    """
    with zipfile.ZipFile(file) as packed:
        if sum(_promised(packed, member) for member in packed.infolist()) > most_bytes:
            raise ValueError(f"more than {most_bytes:,} bytes of arrays")
    with np.load(file, allow_pickle=False) as found:
        return dict(found)


def _promised(packed: zipfile.ZipFile, member: zipfile.ZipInfo) -> int:
    """Bytes an array takes in memory, by its own header, or in the archive if that is more."""
    with packed.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        header = np.lib.format.read_array_header_1_0
        if version != (1, 0):
            header = np.lib.format.read_array_header_2_0
        shape, _, dtype = header(stream)
    promised = dtype.itemsize
    for n in shape:
        promised *= n
    return max(member.file_size, promised)
