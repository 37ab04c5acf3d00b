"""Path -> Run: reads whatever run lies there."""

from pathlib import Path

from unstuck import catalog
from unstuck.records import Run
from unstuck.source import UnreadableRunError


def load(path: str | Path) -> Run | list[Run]:
    """The run at `path`, or a list of them where there are several.

    Raises UnreadableRunError with one clear line where nothing can be read.
    """
    runs = load_all(path)
    return runs[0] if len(runs) == 1 else runs


def load_all(path: str | Path) -> list[Run]:
    """Every run at or directly below `path`."""
    path = Path(path)
    if not path.exists():
        raise UnreadableRunError(f"{path} does not exist")
    for source in catalog.sources():
        if source.knows(path):
            return source.read(path)
    if path.is_dir():
        runs = []
        for child in sorted(path.iterdir()):
            source_of_child = next((s for s in catalog.sources() if s.knows(child)), None)
            if source_of_child:
                runs += source_of_child.read(child)
        if runs:
            return runs
        raise UnreadableRunError(f"{path} holds no run (give a directory made by `unstuck run`)")
    raise UnreadableRunError(f"{path} is no log unstuck can read")
