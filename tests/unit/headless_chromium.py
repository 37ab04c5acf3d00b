"""A page in headless Chromium that a test can drive: the DevTools protocol through two pipes."""

import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from screenshot_report import BROWSERS

BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
SECONDS = 180


class Page:
    """One page; `value` runs JavaScript in it, `wait_for` until that is true."""

    def __init__(self, width: int = 1200, height: int = 900) -> None:
        self._profile = tempfile.mkdtemp()
        to_browser, self._in = os.pipe()
        self._out, from_browser = os.pipe()
        command = [
            str(BROWSER),
            "--headless=new",
            "--no-sandbox",  # it cannot be had in most containers; the pages are our own
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--remote-debugging-pipe",
            f"--user-data-dir={self._profile}",
            f"--window-size={width},{height}",
            "about:blank",
        ]
        pipes = f'exec "$@" 3<&{to_browser} 4>&{from_browser} 2>/dev/null'
        self._process = subprocess.Popen(
            ["bash", "-c", pipes, "bash", *command], pass_fds=(to_browser, from_browser)
        )
        os.close(to_browser)
        os.close(from_browser)
        self._numbers = itertools.count(1)
        self._held = b""
        self._session = ""
        self.complaints: list[str] = []  # errors of scripts, and what the policy has blocked
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self._ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Runtime", "Log", "Page"):
            self._ask(f"{domain}.enable")

    def open(self, url: str) -> None:
        self._ask("Page.navigate", url=url)
        self.wait_for(f"document.readyState === 'complete' && location.href === {json.dumps(url)}")

    def value(self, expression: str) -> object:
        answer = self._ask(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> object:
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            if found := self.value(f"(found => found instanceof Node || found)({expression})"):
                return found
            time.sleep(0.1)
        raise AssertionError(
            f"waited in vain for {expression}\n{self.value('document.body.innerText')}"
        )

    def point_at(self, x: float, y: float) -> None:
        self._ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._in)
        os.close(self._out)
        for _ in range(50):  # its own children may still be writing
            shutil.rmtree(self._profile, ignore_errors=True)
            if not Path(self._profile).exists():
                return
            time.sleep(0.1)

    def _ask(self, method: str, **parameters: object) -> dict:
        number = next(self._numbers)
        asked: dict = {"id": number, "method": method, "params": parameters}
        if self._session:
            asked["sessionId"] = self._session
        os.write(self._in, json.dumps(asked).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == number:
                assert "error" not in answer, answer["error"]
                return answer["result"]
            self._note(answer)

    def _note(self, event: dict) -> None:
        if event.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(str(event["params"]["exceptionDetails"]))
        entry = event.get("params", {}).get("entry", {})
        if event.get("method") == "Log.entryAdded" and entry.get("source") != "network":
            self.complaints.append(entry["text"])

    def _read(self) -> dict:
        while b"\0" not in self._held:
            piece = os.read(self._out, 1 << 20)
            assert piece, "the browser has ended"
            self._held += piece
        message, _, self._held = self._held.partition(b"\0")
        return json.loads(message)
