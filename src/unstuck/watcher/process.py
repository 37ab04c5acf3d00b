"""This process: its number, without asking the system each time, and what it runs on."""

import os
import sys

import torch

from unstuck.records import Scalar

_number = os.getpid()


def _forked() -> None:
    global _number
    _number = os.getpid()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def number() -> int:
    """The process's number; another one in a forked child."""
    return _number


def environment() -> dict[str, Scalar]:
    """Facts about Python, torch and the machine."""
    return {
        "environment/python": sys.version.split()[0],
        "environment/torch": str(torch.__version__),
        "environment/threads": torch.get_num_threads(),
        "environment/cuda": torch.cuda.is_available(),
    }
