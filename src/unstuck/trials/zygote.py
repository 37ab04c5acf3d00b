"""A process that has imported torch and forks a child for every run: `warm.py` asks it to.

It reads requests from a socket: eight digits that say how long the JSON is, with three file
descriptors (stdout, stderr, and a pipe for what becomes of the run), then the JSON: words of the
command line after the interpreter, environment, folder. A child finds everything as a Python
started for it alone would: torch is hidden until the script imports it, and attached to then.
"""

import atexit
import contextlib
import ctypes
import gc
import importlib.abc
import importlib.machinery
import json
import os
import runpy
import select
import signal
import socket
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from unstuck.watcher.launch import INJECTED, RECORD

HEADER = 8  # digits of the length of a request
STREAMS = 3  # file descriptors that come with one
LOADED = ("torch", "torch._dynamo", "unstuck.watcher.session")  # dynamo: by the first optimizer
PR_SET_PDEATHSIG = 1  # linux/prctl.h
Ended = dict[int, int]  # process -> pipe for its status
_spared: list[str] = []  # names of the installed modules that were loaded here


def serve(also: Sequence[str] = ()) -> Callable[[], None]:
    """Import what runs need, then fork a child a request; returns in each child, with its run.

    `also` names further modules to import; one that cannot be imported is left to the script.
    """
    connection = socket.socket(fileno=0)
    before = dict(os.environ)
    atexit.register(_spare_libraries)  # the first to be registered is the last to be called
    for name in LOADED:
        import_module(name)
    for name in also:
        with contextlib.suppress(Exception):
            import_module(name)
    _spared.extend(n for n, m in sys.modules.items() if "-packages" in (_file(m) or ""))
    gc.collect()
    gc.freeze()  # or every child would copy the memory of the libraries, marking what is in use
    set_by_imports = {n: v for n, v in os.environ.items() if n not in before}
    woken, wakes = os.pipe()
    for end in (woken, wakes):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes)
    connection.sendall(b"+")
    running: Ended = {}
    while True:
        ready, _, _ = select.select([connection.fileno(), woken], [], [])
        if woken in ready:
            _drain(woken)
            _reap(running)
        if connection.fileno() in ready:
            request, streams = _received(connection, running)
            child = os.fork()
            if child == 0:
                _forget(connection, (woken, wakes, *running.values()))
                return _as_asked(request, streams, set_by_imports)
            running[child] = streams[2]
            for stream in streams[:2]:
                os.close(stream)


def _file(module: types.ModuleType) -> str | None:
    return getattr(module, "__file__", None)


def _received(connection: socket.socket, running: Ended) -> tuple[dict[str, Any], list[int]]:
    header, streams, _, _ = socket.recv_fds(connection, HEADER, STREAMS)
    if len(header) < HEADER or len(streams) < STREAMS:
        _end(running)
    left, parts = int(header), []
    while left:
        parts.append(connection.recv(left))
        if not parts[-1]:
            _end(running)
        left -= len(parts[-1])
    return json.loads(b"".join(parts)), list(streams)


def _end(running: Ended) -> NoReturn:
    """Whoever asked is gone, and nobody wants the runs any more."""
    for child in running:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)
    os._exit(0)


def _drain(woken: int) -> None:
    with contextlib.suppress(BlockingIOError):
        while os.read(woken, 4096):
            pass


def _reap(running: Ended) -> None:
    """Tell what became of the children that have ended."""
    while running:
        child, status = os.waitpid(-1, os.WNOHANG)
        if child == 0:
            return
        pipe = running.pop(child, None)
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                os.write(pipe, b"%d\n" % os.waitstatus_to_exitcode(status))
            os.close(pipe)


def _forget(connection: socket.socket, descriptors: Sequence[int]) -> None:
    """Leave nothing of the server in a child."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    connection.detach()  # it is standard input, which becomes another file
    for descriptor in descriptors:
        os.close(descriptor)


def _as_asked(
    request: Mapping[str, Any], streams: Sequence[int], set_by_imports: Mapping[str, str]
) -> Callable[[], None]:
    """Become the process that was asked for; what is left to do is to run its script."""
    server = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setsid()
    out, err, told = streams
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (out, 1), (err, 2)):
        os.dup2(source, target)
        os.close(source)
    os.write(told, b"%d\n" % os.getpid())
    os.close(told)
    if os.getppid() != server:
        os._exit(1)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    words = request["words"]
    sys.orig_argv[:] = [sys.executable, *words]
    _draw_anew()
    _hide_torch(_request_of_a_recording(), set_by_imports)
    sys.modules["__main__"] = main = types.ModuleType("__main__")
    main.__annotations__ = {}
    if words[0] == "-m":
        sys.argv[:] = ["-m", *words[2:]]
        _first_on_path(Path.cwd())
        as_main: Any = vars(runpy)["_run_module_as_main"]  # what `python -m` itself calls
        return lambda: as_main(words[1])
    sys.argv[:] = words
    _first_on_path(Path(words[0]).resolve().parent)
    return lambda: _run_file(str(Path(words[0]).absolute()), main)


def _run_file(file: str, main: types.ModuleType) -> None:
    loader = importlib.machinery.SourceFileLoader("__main__", file)
    namespace = vars(main)
    namespace.update(__file__=file, __cached__=None, __loader__=loader, __builtins__=__builtins__)
    exec(compile(Path(file).read_bytes(), file, "exec", dont_inherit=True), namespace)


def _first_on_path(folder: Path) -> None:
    if not sys.flags.safe_path:
        sys.path.insert(0, str(folder))


def _draw_anew() -> None:
    """The generators that the system seeds: no two runs draw the same. `random` does so itself."""
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    sys.modules["torch"].default_generator.seed()


def _request_of_a_recording() -> str | None:
    """What the folder `inject` does when Python starts: take the request out of the environment."""
    rest = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p != str(INJECTED)]
    if any(rest):
        os.environ["PYTHONPATH"] = os.pathsep.join(p for p in rest if p)
    else:
        os.environ.pop("PYTHONPATH", None)
    return os.environ.pop(RECORD, None)


def _spare_libraries() -> None:
    """Python takes all modules apart as it ends: a second for those that were loaded here, whose
    memory the child would have to copy first. They are left to the end of the process.
    """
    for name in _spared:
        module = sys.modules.pop(name, None)
        if module is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(module))


def _hide_torch(asked: str | None, set_by_imports: Mapping[str, str]) -> None:
    hidden = {n: m for n, m in sys.modules.items() if n == "torch" or n.startswith("torch.")}
    for name in hidden:
        del sys.modules[name]
    sys.meta_path.insert(0, _Hidden(hidden, asked, set_by_imports))


class _Hidden(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the torch that is loaded already, once, and attaches the watcher where asked to."""

    def __init__(
        self,
        modules: dict[str, types.ModuleType],
        asked: str | None,
        set_by_imports: Mapping[str, str],
    ) -> None:
        self._modules = modules
        self._set_by_imports = set_by_imports
        self._asked = asked
        self._spec = modules["torch"].__spec__

    def find_spec(
        self, name: str, path: Any, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != "torch":
            return None
        sys.meta_path.remove(self)
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return self._modules["torch"]

    def exec_module(self, module: types.ModuleType) -> None:
        module.__spec__ = self._spec
        sys.modules.update(self._modules)
        for name, value in self._set_by_imports.items():
            os.environ.setdefault(name, value)
        if self._asked:
            from unstuck.watcher.session import start_in_child

            start_in_child(self._asked)
