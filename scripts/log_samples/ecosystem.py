r"""Captures of what training programs print and write, into tests/unit/ecosystem.

    python scripts/log_samples/ecosystem.py [NAME ...]

Needs catboost, lightgbm, xgboost, scikit-learn, pytorch-ignite, fastai, skorch, stable-baselines3,
keras (on torch), lightning, trl, timm, sacred, dvclive, loguru, rich and tqdm. Each function trains
something tiny in a process of its own and a folder of its own; what it prints becomes
`<name>.txt`, or it says which of the files it wrote is kept. A terminal is a real one (`pty`).
"""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

import ecosystem_loggers
import ecosystem_programs
from ecosystem_loggers import LOGGERS
from ecosystem_programs import KEPT, ON_TERMINAL, PROGRAMS

OUT = Path(__file__).resolve().parents[2] / "tests" / "unit" / "ecosystem"
MOST = 8_000  # bytes of a capture


def printed(name: str, folder: Path) -> bytes:
    """What a training prints, to a file or to a terminal."""
    command = [sys.executable, str(Path(__file__).resolve()), "--only", name]
    if name not in ON_TERMINAL:
        done = subprocess.run(
            command, cwd=folder, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        return done.stdout
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
    process = subprocess.Popen(command, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs,
                               env={**os.environ, "TERM": "xterm-256color"})  # fmt: skip
    os.close(theirs)
    found = []
    try:
        while part := os.read(ours, 65_536):
            found.append(part)
    except OSError:  # the terminal is closed when the program ends
        pass
    if process.wait():
        raise RuntimeError(b"".join(found).decode())
    return b"".join(found)


def cleaned(data: bytes, folder: Path, *, whole: bool = False) -> bytes:
    """Without the paths of this machine, and not longer than a test needs."""
    for path in (folder, Path(sys.prefix), Path(__file__).parent, Path.home()):
        data = data.replace(str(path).encode(), b".")
    data = re.sub(rb"(?m)^[^\r\n]*(?:Warning|warn)[^\r\n]*\n(?:  [^\n]*\n)?", b"", data)
    ends = (data.rfind(b"\n", 0, MOST), data.rfind(b"\r", 0, MOST))
    return data if whole or len(data) <= MOST else data[: max(ends) + 1]


def main() -> None:
    if sys.argv[1:2] == ["--only"]:
        name = sys.argv[2]
        getattr(ecosystem_loggers if name in LOGGERS else ecosystem_programs, name)()
        return
    OUT.mkdir(exist_ok=True)
    for name in sys.argv[1:] or PROGRAMS + LOGGERS:
        with tempfile.TemporaryDirectory() as folder:
            told = printed(name, Path(folder))
            copies = {to: f for to, f in KEPT.items() if to.startswith(name)}
            for to, file in copies.items():
                data = (Path(folder) / file).read_bytes()
                (OUT / to).write_bytes(cleaned(data, Path(folder), whole=True))
            if not copies or name == "catboost":
                (OUT / f"{name}.txt").write_bytes(cleaned(told, Path(folder)))
            print(name, len(told))


if __name__ == "__main__":
    main()
