"""Runs without the seconds that starting Python and importing torch costs: forked, not started.

A process (zygote.py) imports torch once and forks a child for each run. A child is a session of its
own and sees what a Python started for it would; its results are the same bit for bit. What is
left to be started the ordinary way: other programs, options of the interpreter, a machine whose
GPU is to be used, anything but Linux, and everything where UNSTUCK_COLD is set.
"""

import atexit
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
import weakref
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol

from unstuck.watcher.launch import LAUNCHERS

COLD = "UNSTUCK_COLD"
OF_ONE_RUN = "UNSTUCK_"  # variables that Python and its libraries do not read when they load
PATIENCE = 120.0  # seconds a zygote gets to import torch, on a busy machine
ATTEMPTS = 3  # zygotes lost before the first answer, after which every run is started cold
GPU = ("/dev/nvidiactl", "/dev/kfd")  # NVIDIA's and AMD's drivers
PROGRAM = "import sys; sys.path.pop(0); from unstuck.trials.zygote import serve; serve({})()"


class Process(Protocol):
    """A started run: the part of subprocess.Popen that trials use."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...


class Forked:
    """A run that a zygote forked. Its return code is the one subprocess.Popen would have."""

    def __init__(self, told: int, words: Sequence[str]) -> None:
        self._told = told
        self._words = list(words)
        self._read = b""
        self.returncode: int | None = None
        self.pid = 0
        deadline = time.monotonic() + PATIENCE
        while not self.pid:
            if time.monotonic() > deadline:
                raise ConnectionError("the process that forks runs does not answer")
            self._listen(1.0)

    def poll(self) -> int | None:
        """The return code, or None while it runs."""
        if self.returncode is None:
            self._listen(0.0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; raises subprocess.TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.returncode is None:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left < 0 and timeout is not None:
                raise subprocess.TimeoutExpired(self._words, timeout)
            self._listen(left)
        return self.returncode

    def _listen(self, seconds: float | None) -> None:
        """Read what is told: first the process's number, last its return code."""
        if not select.select([self._told], [], [], seconds)[0]:
            return
        told = os.read(self._told, 4096)
        self._read += told
        lines = self._read.split(b"\n")[:-1]
        if lines:
            self.pid = int(lines[0])
        if len(lines) > 1:
            self.returncode = int(lines[1])
        elif not told:  # the zygote is gone, and its children are with it
            if not self.pid:
                raise ConnectionError("the process that forks runs has ended")
            self.returncode = -signal.SIGKILL
        if self.returncode is not None:
            os.close(self._told)

    def __del__(self) -> None:
        if self.returncode is None:
            os.close(self._told)


class Zygote:
    """The process that forks: its libraries are loaded under one environment."""

    def __init__(self, env: Mapping[str, str], also: Sequence[str]) -> None:
        self.environment = dict(env)
        self._forked: list[weakref.ref[Forked]] = []
        self._socket, its = socket.socketpair()
        with its:
            self._process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM.format(json.dumps(list(also)))],
                stdin=its.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=self.environment,
                start_new_session=True,
            )
        self._socket.settimeout(PATIENCE)
        try:
            if self._socket.recv(1) != b"+":
                raise ConnectionError("the process that forks runs could not load torch")
        except OSError:
            self.close()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def busy(self) -> bool:
        """Whether a run that it forked has not ended."""
        left = [(it, run) for it in self._forked if (run := it()) is not None]
        self._forked = [it for it, run in left if run.poll() is None]
        return bool(self._forked)

    def fork(self, words: Sequence[str], env: Mapping[str, str], cwd: Path, *to: int) -> Forked:
        """A child that runs these words; `to` are its stdout and stderr."""
        told, tells = os.pipe()
        try:
            request = {"words": list(words), "env": dict(env), "cwd": str(cwd.resolve())}
            text = json.dumps(request).encode()
            socket.send_fds(self._socket, [b"%08d" % len(text)], [*to, tells])
            self._socket.sendall(text)
        except BaseException:
            os.close(told)
            raise
        finally:
            os.close(tells)
        forked = Forked(told, words)
        self._forked.append(weakref.ref(forked))
        return forked

    def close(self) -> None:
        """End it, and with it every run that it forked and that has not ended."""
        self._socket.close()
        try:
            self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Warm:
    """Starts runs by forking where that can be done; use as a context manager, or `close()`."""

    def __init__(self) -> None:
        self._zygote: Zygote | None = None
        self._lost = 0

    @property
    def process(self) -> int | None:
        """The process that forks, where there is one."""
        return self._zygote.pid if self._zygote is not None else None

    def start(
        self,
        words: Sequence[str],
        env: Mapping[str, str],
        cwd: Path,
        stdout: IO[bytes],
        stderr: IO[bytes],
        also: Sequence[str] = (),
    ) -> Forked | None:
        """The run of a command line in a session of its own; None where it must be started cold.

        `also` names modules that runs import besides torch, to be imported once.
        """
        after = words_of_python(words, env, cwd)
        while after is not None and self._lost < ATTEMPTS:
            zygote = self._zygote_for(env, also)
            if zygote is None:
                return None
            try:
                forked = zygote.fork(after, env, cwd, stdout.fileno(), stderr.fileno())
            except OSError:  # it has ended just now: another one takes its place
                self._lose()
            else:
                self._lost = 0
                return forked
        return None

    def close(self) -> None:
        """End what forks, and every run of it that has not ended."""
        if self._zygote is not None:
            self._zygote.close()
        self._zygote = None

    def __enter__(self) -> "Warm":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        self.close()

    def _zygote_for(self, env: Mapping[str, str], also: Sequence[str]) -> Zygote | None:
        """One whose libraries were loaded under this environment; None where there cannot be."""
        wanted = {n: v for n, v in env.items() if not n.startswith(OF_ONE_RUN)}
        if self._zygote is not None:
            if self._zygote.alive and self._zygote.environment == wanted:
                return self._zygote
            if self._zygote.alive and self._zygote.busy:
                return None  # runs of another trial depend on it
            self.close()
        try:
            self._zygote = Zygote(wanted, also)
        except OSError:
            self._lose()
        return self._zygote

    def _lose(self) -> None:
        self._lost += 1
        self.close()


@cache
def shared() -> Warm:
    """The one of this process: trials after one another fork from the same zygote."""
    warm = Warm()
    atexit.register(warm.close)
    return warm


def words_of_python(words: Sequence[str], env: Mapping[str, str], cwd: Path) -> list[str] | None:
    """The words after the interpreter, where it is ours and has no options of its own.

    `FILE.py ...` or `-m MODULE ...`; None where the command is another, or forking is no way here.
    """
    if not sys.platform.startswith("linux") or env.get(COLD) or _uses_gpu(env) or len(words) < 2:
        return None
    program = shutil.which(words[0], path=env.get("PATH"))
    if program is None or not _is_this_python(Path(program)):
        return None
    first, *rest = words[1:]
    if first == "-m":
        return [first, *rest] if rest and rest[0] not in LAUNCHERS else None
    is_script = first.endswith(".py") and not first.startswith("-") and (cwd / first).is_file()
    return [first, *rest] if is_script else None


def _is_this_python(program: Path) -> bool:
    here = Path(sys.executable)
    beside = program.absolute().parent.samefile(here.parent)
    return beside and program.resolve() == here.resolve()


def _uses_gpu(env: Mapping[str, str]) -> bool:
    """A context of CUDA does not survive a fork; none is made where no GPU is to be seen."""
    hidden = env.get("CUDA_VISIBLE_DEVICES", "all") in ("", "-1")
    return not hidden and any(Path(device).exists() for device in GPU)
