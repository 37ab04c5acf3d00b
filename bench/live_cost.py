"""Processor time that looking at a growing run takes: `unstuck serve` and `unstuck run --live`.

python bench/live_cost.py [--seconds 40]

Prints CPU seconds a minute of the process that looks (Linux: read from /proc), while a run grows by
40 steps a second of 17 series, while nothing changes, and with a series of 1,000,000 readings.
"""

import argparse
import fcntl
import json
import os
import pty
import sqlite3
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from unstuck.sources.unstuck_run import FILE, SCHEMA, VERSION

WARM = 15.0  # seconds before measuring: libraries are loaded, everything has been read once
POLL = 2.0  # the page's own pace
TRAIN = """
import time, torch
torch.set_num_threads(1)
net = torch.nn.Sequential(*[torch.nn.Linear(32, 32) for _ in range(4)])
opt = torch.optim.Adam(net.parameters())
while True:
    loss = net(torch.randn(32, 32)).square().mean()
    opt.zero_grad(); loss.backward(); opt.step(); time.sleep(0.02)
"""


class Growing:
    """A record that grows as the watcher's does."""

    def __init__(self, directory: Path, series: int, readings: int) -> None:
        directory.mkdir(parents=True)
        self.names = [f"loss/{i}" for i in range(series)]
        self.step = readings
        self.file = sqlite3.connect(directory / FILE)
        self.file.execute("PRAGMA journal_mode = WAL")
        self.file.executescript(SCHEMA)
        meta = {"version": VERSION, "name": "growing"}
        self.file.executemany(
            "INSERT INTO meta VALUES (?, ?)", [(k, json.dumps(v)) for k, v in meta.items()]
        )
        self.file.executemany("INSERT INTO series VALUES (?, ?)", list(enumerate(self.names)))
        self._write(range(readings))

    def grow(self, steps: int) -> None:
        self._write(range(self.step, self.step + steps))
        self.step += steps

    def _write(self, steps: range) -> None:
        now, count = time.time(), len(self.names)
        rows = (
            (s, t, 0.3 + 2 / (1 + t / 50) + 0.01 * (t % 7), now)
            for s in range(count)
            for t in steps
        )
        self.file.executemany("INSERT INTO reading VALUES (?, ?, ?, ?)", rows)
        self.file.commit()


def processor_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def a_minute(process: int, seconds: float, meanwhile: Callable[[], None]) -> float:
    """CPU seconds a minute of a process, measured after it has warmed up."""
    began, used, end = 0.0, 0.0, time.monotonic() + WARM + seconds
    while (now := time.monotonic()) < end:
        if not began and now > end - seconds:
            began, used = now, processor_seconds(process)
        meanwhile()
        time.sleep(0.05)
    return 60 * (processor_seconds(process) - used) / (time.monotonic() - began)


def served(folder: Path, page: str, grow: Callable[[], None], seconds: float) -> float:
    command = [sys.executable, "-m", "unstuck", "serve", str(folder)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1] + page
        asked, tag = 0.0, ""

        def meanwhile() -> None:
            nonlocal asked, tag
            grow()
            if time.monotonic() - asked > POLL:
                asked = time.monotonic()
                request = urllib.request.Request(url, headers={"If-None-Match": tag})
                try:
                    with urllib.request.urlopen(request) as answer:
                        tag = answer.headers["ETag"]
                except urllib.error.HTTPError:  # 304, or 404 before it has been found
                    pass

        try:
            return a_minute(process.pid, seconds, meanwhile)
        finally:
            process.kill()


def in_terminal(folder: Path, seconds: float, *options: str) -> float:
    script = folder / "train.py"
    script.write_text(TRAIN)
    out = folder / f"run{''.join(options)}"
    command = [sys.executable, "-m", "unstuck", "run", *options, "--out", str(out), str(script)]
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    env = {**os.environ, "TERM": "xterm"}
    process = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, env=env
    )
    os.close(slave)
    threading.Thread(
        target=lambda: [None for _ in iter(lambda: _read(master), b"")], daemon=True
    ).start()
    try:
        return a_minute(process.pid, seconds, lambda: None)
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:
        return b""


def main() -> None:
    parser = argparse.ArgumentParser(description="Processor time that looking at a run takes.")
    parser.add_argument("--seconds", type=float, default=40.0, help="of each measurement")
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small = Growing(folder / "small" / "r", 17, 100)
        large = Growing(folder / "large" / "r", 1, 1_000_000)
        for what, where, page, grow in (
            ("serve, a run that grows, its page open", "small", "run/1", lambda: small.grow(2)),
            ("serve, a run that grows, the list open", "small", "", lambda: small.grow(2)),
            ("serve, nothing changes, a page open", "small", "run/1", lambda: None),
            ("serve, 1,000,000 readings that grow", "large", "run/1", lambda: large.grow(20)),
        ):
            print(
                f"{served(folder / where, page, grow, seconds):6.2f} CPU s/min  {what}", flush=True
            )
        for options in (("--live",), ()):
            used = in_terminal(folder, seconds, *options)
            print(f"{used:6.2f} CPU s/min  run {' '.join(options)}", flush=True)


if __name__ == "__main__":
    main()
