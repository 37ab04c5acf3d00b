"""What a training prints, in the form the notes' logs have, and keeps in log.txt.

Epoch: [ 3], [ 120/ 218] time: 12.34, d_loss: 0.69315, g_loss: 27.12345, cheat_loss: ...
"""

import time
from collections.abc import Mapping
from pathlib import Path

NAMES = ("d_loss", "g_loss", "category_loss", "cheat_loss", "const_loss", "l1_loss")
LINES = 10  # of an epoch


class Log:
    """Lines of a training: all to `out`/log.txt, those for people to the terminal."""

    def __init__(self, out: Path | None, say: bool, epochs: int, updates: int) -> None:
        self._say, self._epochs, self._updates = say, epochs, updates
        self._every = max(1, updates // LINES)
        self._file: Path | None = None
        self._start = time.perf_counter()
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            self._file = out / "log.txt"

    def line(self, text: str) -> None:
        if self._say:
            print(text, flush=True)
        if self._file is not None:
            with self._file.open("a", encoding="utf-8") as file:
                print(text, file=file)

    def update(self, epoch: int, update: int, said: Mapping[str, float]) -> None:
        """One update, where it is its turn."""
        if update % self._every:
            return
        losses = ", ".join(f"{name}: {said[name]:.5f}" for name in NAMES if name in said)
        seconds = time.perf_counter() - self._start
        self.line(
            f"Epoch: [{epoch:2d}], [{update:4d}/{self._updates:4d}] time: {seconds:.2f}, {losses}"
        )

    def epoch(self, epoch: int, found: Mapping[str, float], pictures: int) -> None:
        """An epoch's figures on held-out characters, its speed, and how long is left."""
        left = (self._epochs - epoch - 1) * found["seconds"]
        self.line(
            f"held out after epoch {epoch}: L1 {found['l1']:.4f}, SSIM {found['ssim']:.4f}, "
            f"discriminator right {found['d_accuracy']:.0%}; "
            f"{pictures / found['seconds']:.0f} images/s, {left / 60:.1f} min left"
        )
