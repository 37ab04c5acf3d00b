"""A film of a rollout: MP4, or GIF by the file's name.

unstuck case nca grow-video runs/nca --out grown.mp4 --steps 400 --damage-at 200
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from unstuck.cases.nca import pictures, tables
from unstuck.cases.nca.automaton import Automaton
from unstuck.cases.nca.measures import RADIUS
from unstuck.cases.nca.pool import disc
from unstuck.cases.nca.rollouts import SEED, begun, rolled
from unstuck.cases.nca.scenes import Scene, Task
from unstuck.data.weights import NotSavedError

KINDS = (".mp4", ".gif")
WIDE = 384  # px of a frame, at least
MOST = 5000  # steps


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m unstuck.cases.nca.grow_video", description=__doc__)
    parser.add_argument("run", type=Path, help="folder that `train --out` left")
    parser.add_argument("--out", type=Path, default=Path("grown.gif"), help="an .mp4 or .gif file")
    parser.add_argument(
        "--steps", type=int, help="of the finest level (default: twice the trained)"
    )
    parser.add_argument("--damage-at", type=int, help="step at which a hole is made")
    parser.add_argument("--sample", type=int, default=0, help="which held-out canvas")
    parser.add_argument("--fps", type=int, default=25)
    options = parser.parse_args(arguments)

    def work(model: Automaton, task: Task) -> None:
        steps = 2 * model.recipe.steps_most if options.steps is None else options.steps
        if not 0 < steps <= MOST:
            raise ValueError(f"--steps {steps}: 1 to {MOST}")
        if options.out.suffix.lower() not in KINDS:
            raise ValueError(f"{options.out}: a film is an .mp4 or a .gif file")
        if not 0 < options.fps <= 100:
            raise ValueError(f"--fps {options.fps}: 1 to 100")
        count = len(task.held_out())
        if not 0 <= options.sample < count:
            raise ValueError(f"--sample {options.sample}: 0 to {count - 1}")
        film = frames(model, task, steps, options.sample, options.damage_at)
        written(options.out, list(track(film, "frames", total=steps + 1)), options.fps)
        print(f"{options.out}: {steps + 1} frames")

    return tables.program(options.run, work)


@torch.no_grad()
def frames(
    model: Automaton, task: Task, steps: int, sample: int = 0, damage_at: int | None = None
) -> Iterator[pictures.Picture]:
    """The canvas at the beginning and after every step of all levels together."""
    part = task.held_out()[sample : sample + 1]
    scene = task.scene(part, task.size)
    torch.manual_seed(SEED)
    states = begun(model, task, part, task.size)
    yield drawn(model, states, scene)
    for step in range(1, steps + 1):
        if step == damage_at:
            hole = torch.zeros(2)
            states = tuple(s * disc(s.shape[-1], hole, RADIUS).to(s) for s in states)
        states = rolled(model, states, scene, 1, fresh=step == 1)
        yield drawn(model, states, scene)


def drawn(model: Automaton, states: tuple[torch.Tensor, ...], scene: Scene) -> pictures.Picture:
    picture = pictures.seen(model.recipe, model.read(states)[0], scene)
    times = -(-WIDE // picture.shape[0])
    return np.ascontiguousarray(picture.repeat(times, 0).repeat(times, 1))


def written(file: Path, film: list[pictures.Picture], fps: int) -> None:
    """The film in a file, whole or not at all; NotSavedError says why not."""
    import imageio.v3 as imageio

    beside = file.with_name(f"part-{file.name}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix.lower() == ".gif":
            imageio.imwrite(beside, film, duration=1000 / fps, loop=0)
        else:
            imageio.imwrite(beside, film, fps=fps, plugin="FFMPEG")
        beside.replace(file)
    except ImportError:
        raise NotSavedError(
            f"{file}: MP4 needs imageio-ffmpeg (pip install imageio-ffmpeg); a .gif needs nothing"
        ) from None
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise NotSavedError(f"{file} could not be written ({error})") from None


if __name__ == "__main__":
    raise SystemExit(main())
