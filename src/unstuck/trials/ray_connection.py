"""The connection to a Ray cluster: found quickly or refused in one line, and quiet."""

import logging
import os
import re
import socket
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from unstuck.trials.local import cores
from unstuck.trials.plan import PlanError

REACH = 10.0  # seconds to find out whether anybody listens at an address
OBJECT_STORE = 200_000_000  # bytes of a cluster started here: results are small
LONGEST = 200  # characters of Ray's own messages that are shown
ADDRESS = re.compile(r"(ray://)?(?P<host>[\w.-]+|\[[0-9a-fA-F:.]+\]):(?P<port>\d{1,5})")
START = "start one with 'ray start --head', or give an address, or 'local'"

TOKEN = "if it asks for a token (~/.ray/auth_token), set RAY_AUTH_MODE=token"


def connected(address: str, ship: Path | None) -> tuple[Any, bool]:
    """Ray, connected to the cluster, and whether we made the connection. Raises PlanError."""
    if ship is not None and not ship.is_dir():
        raise PlanError(f"there is no folder {ship} to ship to the nodes")
    if address not in ("auto", "local"):
        _reach(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no telemetry of a cluster we start
    try:
        import ray
    except ImportError:
        raise PlanError("runs on a cluster need Ray: pip install 'unstuck[ray]'") from None
    if ray.is_initialized():
        return ray, False
    try:
        ray.init(address=address, **_options(address, ship))
    except ConnectionError as error:
        hint = START if address == "auto" else f"{one_line(error)}; {TOKEN}"
        raise PlanError(f"no Ray cluster at '{address}': {hint}") from None
    except (RuntimeError, ValueError, AssertionError, OSError) as error:
        raise PlanError(f"cannot connect to Ray at '{address}': {one_line(error)}") from None
    _speak_up_elsewhere()
    return ray, True


def one_line(error: BaseException) -> str:
    """The first line of what Ray says, bounded."""
    return _first(str(error)) or type(error).__name__


def _options(address: str, ship: Path | None) -> dict[str, Any]:
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if ship is not None:
        options["runtime_env"] = {"working_dir": str(ship), "excludes": [".venv", "runs"]}
    if address == "local":
        options["num_cpus"] = cores()
        options["include_dashboard"] = False
        options["object_store_memory"] = OBJECT_STORE
    return options


def _reach(address: str) -> None:
    """Raise PlanError where nobody listens: Ray itself would go on trying for many minutes."""
    found = ADDRESS.fullmatch(address)
    if found is None:
        raise PlanError(
            f"'{address}' is no address of a Ray cluster: give auto, local, host:port or "
            f"ray://host:10001"
        )
    try:
        socket.create_connection((found["host"].strip("[]"), int(found["port"])), REACH).close()
    except (OSError, OverflowError) as error:
        raise PlanError(f"no Ray cluster at '{address}' ({one_line(error)}): {START}") from None


def _speak_up_elsewhere() -> None:
    """Ray prints what befalls nodes on standard output, twenty lines each, which is for results:
    let it be one line on standard error. Ray has no option for that; a version of it that prints
    in another way stays as it is.
    """
    worker: Any = import_module("ray._private.worker")
    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = _told


def _told(data: Any, *_: Any, **__: Any) -> None:
    for message in data.get("lines", ()):
        print(f"unstuck: Ray: {_first(str(message))}", file=sys.stderr)


def _first(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "".join(c if c.isprintable() else " " for c in lines[0][:LONGEST]) if lines else ""
