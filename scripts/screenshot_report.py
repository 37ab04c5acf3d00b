"""Take a picture of an HTML report's top with headless Chromium, as the README shows it.

python scripts/screenshot_report.py report.html report.png [--width 1200] [--height 1100]
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
LIGHT = "preferredColorScheme=1"  # Blink's enum: 0 dark, 1 light
SECONDS = 60


def screenshot(report: Path, picture: Path, width: int, height: int, scale: float) -> None:
    """Write `picture`, width x height CSS pixels of the top of `report`. Raises SystemExit."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit("no Chromium found: apt-get install chromium, or put Chrome on the PATH")
    if not report.is_file():
        sys.exit(f"no such report: {report}")
    with tempfile.TemporaryDirectory() as profile:
        command = [
            browser,
            "--headless",
            "--no-sandbox",  # it cannot be had in most containers; the page is our own file
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={profile}",
            f"--blink-settings={LIGHT}",
            f"--force-device-scale-factor={scale:g}",
            f"--window-size={width},{height}",
            f"--screenshot={picture.resolve()}",
            report.resolve().as_uri(),
        ]
        picture.unlink(missing_ok=True)  # an old picture must not pass for a new one
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            sys.exit(f"{browser} took longer than {SECONDS} s")
    if not picture.is_file():
        sys.exit(f"{browser} made no picture:\n{done.stderr[-2000:]}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Take a picture of an HTML report.")
    parser.add_argument("report", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--width", type=int, default=1200, help="CSS pixels")
    parser.add_argument("--height", type=int, default=1100, help="CSS pixels kept from the top")
    parser.add_argument("--scale", type=float, default=1.5, help="device pixels per CSS pixel")
    told = parser.parse_args()
    screenshot(told.report, told.picture, told.width, told.height, told.scale)
    print(told.picture)


if __name__ == "__main__":
    main()
