"""Tell the recording that runs, if one does, of what no hook can know."""

from unstuck.watcher import session


def tell(kind: str, *values: object) -> None:
    """`tell("pair", "image", a, "text", b)` is `run.pair("image", a, "text", b)`."""
    run = session._active
    if run is not None and run.attached:
        getattr(run, kind)(*values)
