"""Runs first in a watched script: waits for the script to import torch, then attaches.

Until then it imports nothing but the standard library, and it leaves the interpreter as it found
it: its folder is off the path, and a `sitecustomize` of the user's own runs as ever. A launcher
(torchrun) trains nothing: it is left alone and hands the request on to the processes it starts.
"""

import importlib.abc
import importlib.util
import json
import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))


class _AfterTorch(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Stands in for torch's loader once, and attaches the watcher after torch is loaded."""

    def __init__(self, asked):
        self.asked = asked
        self.loader = None

    def find_spec(self, name, path, target=None):
        if name != "torch":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return None
        self.loader = spec.loader
        spec.loader = self
        return spec

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module):
        module.__spec__.loader = module.__loader__ = self.loader
        self.loader.exec_module(module)
        try:
            from unstuck.watcher.session import start_in_child
        except Exception as error:  # whatever it is, the script must run
            print(f"unstuck: cannot record ({error}); the script runs unwatched", file=sys.stderr)
        else:
            start_in_child(self.asked)


def _program():
    """What the interpreter was asked to run: the module after -m, or the script's file name."""
    words = sys.orig_argv[1:]
    while words:
        word = words.pop(0)
        if word == "-m":
            return words[0] if words else ""
        if word in ("-W", "-X", "--check-hash-based-pycs"):
            del words[:1]
        elif not word.startswith("-"):
            return os.path.basename(word)
    return ""


def _begin():
    sys.path[:] = [p for p in sys.path if os.path.abspath(p) != _HERE]
    asked = os.environ.get("UNSTUCK_RECORD")
    if not asked or _program() not in json.loads(asked).get("launchers", ()):
        _wait_for_torch()
    del sys.modules["sitecustomize"]
    try:
        import sitecustomize  # noqa: F401 - the user's own, now that ours is off the path
    except ImportError:
        sys.modules["sitecustomize"] = _OURS


def _wait_for_torch():
    """Take the request out of the environment: data workers are not to follow it."""
    rest = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p and p != _HERE]
    if rest:
        os.environ["PYTHONPATH"] = os.pathsep.join(rest)
    else:
        os.environ.pop("PYTHONPATH", None)
    asked = os.environ.pop("UNSTUCK_RECORD", None)
    if asked:
        sys.meta_path.insert(0, _AfterTorch(asked))


_OURS = sys.modules["sitecustomize"]
_begin()
