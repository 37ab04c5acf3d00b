"""Take pictures of the pages `unstuck serve` shows, with headless Chromium.

python scripts/screenshot_live.py RUNS FOLDER [--page run/1] [--width 1200] [--height 1100] [--dark]

Without --page: the list of runs, the first run, and the first two compared.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from screenshot_report import BROWSERS, SECONDS

from unstuck.live.server import Server

SCHEMES = {False: "preferredColorScheme=1", True: "preferredColorScheme=0"}  # Blink's enum
PATIENCE = 120.0  # seconds for reading all runs


def picture(url: str, file: Path, width: int, height: int, scale: float, dark: bool) -> None:
    """Write `file`, width x height CSS pixels of the top of a page. Raises SystemExit."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit("no Chromium found: apt-get install chromium, or put Chrome on the PATH")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)  # an old picture must not pass for a new one
    with tempfile.TemporaryDirectory() as profile:
        command = [
            browser,
            "--headless=new",
            "--no-sandbox",  # it cannot be had in most containers; the pages are our own
            "--disable-gpu",
            "--hide-scrollbars",
            "--virtual-time-budget=3000",
            f"--user-data-dir={profile}",
            f"--blink-settings={SCHEMES[dark]}",
            f"--force-device-scale-factor={scale:g}",
            f"--window-size={width},{height}",
            f"--screenshot={file.resolve()}",
            url,
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    if not file.is_file():
        sys.exit(f"{browser} made no picture:\n{done.stderr[-2000:]}")


def settled(server: Server) -> None:
    """Wait until every run has been read once."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        server.reader.wanted()
        if server.shelf.scanned and all(row.read for row in server.shelf.rows()):
            return
        time.sleep(0.1)
    sys.exit(f"reading took longer than {PATIENCE:g} s")


def main() -> None:
    parser = argparse.ArgumentParser(description="Take pictures of the pages of unstuck serve.")
    parser.add_argument("runs", type=Path)
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--page", action="append", help="behind the token: run/1, compare?a=1&b=2")
    parser.add_argument("--width", type=int, default=1200, help="CSS pixels")
    parser.add_argument("--height", type=int, default=1100, help="CSS pixels kept from the top")
    parser.add_argument("--scale", type=float, default=1.5, help="device pixels per CSS pixel")
    parser.add_argument("--dark", action="store_true")
    told = parser.parse_args()
    server = Server(told.runs)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settled(server)
    first = [row.number for row in sorted(server.shelf.rows(), key=lambda r: r.name) if row.steps]
    pages = told.page or ["", *(f"run/{n}" for n in first[:1])]
    if not told.page and len(first) > 1:
        pages.append(f"compare?a={first[0]}&b={first[1]}")
    for page in pages:
        name = "".join(c if c.isalnum() else "-" for c in page) or "runs"
        file = told.folder / f"{name}-{told.width}{'-dark' if told.dark else ''}.png"
        picture(server.url + page, file, told.width, told.height, told.scale, told.dark)
        print(file)
    server.shutdown()


if __name__ == "__main__":
    main()
