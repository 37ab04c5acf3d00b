"""A local server of pages about runs: this machine only, and only for who knows the address.

It listens on 127.0.0.1; every address begins with a random word, without which there is nothing to
be had; requests under another host name are refused, so that no web page can reach it by a name
that points here; it answers GET alone, and runs are asked for by number, never by a path.
"""

import hashlib
import hmac
import secrets
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from unstuck.live import pages
from unstuck.live.reader import Reader
from unstuck.live.shelf import Row, Shelf
from unstuck.policy import Policy
from unstuck.prescribe import prescribe

ADDRESS = "127.0.0.1"
HOSTS = {"127.0.0.1", "localhost"}  # any port: an ssh tunnel may end at another one
LONGEST = 2_000  # characters of an address that is looked at
MOST_AT_ONCE = 16  # requests; more are told to come again
MOST_KEPT = 32  # pages kept for who asks again
TIMEOUT = 30.0  # seconds a connection may be silent
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
HTML, TEXT = "text/html; charset=utf-8", "text/plain; charset=utf-8"


class RefusedError(Exception):
    """A request that gets no page: its status, and why in one line."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Server(ThreadingHTTPServer):
    """Serves the runs below a folder until `shutdown`; `url` is the address to open."""

    daemon_threads = True

    def __init__(self, root: Path, policy: Policy | None = None, port: int = 0) -> None:
        super().__init__((ADDRESS, port), Handler)
        self.token = secrets.token_urlsafe(24)
        self.top = f"/{self.token}/"
        self.shelf = Shelf(root, policy)
        self.reader = Reader(self.shelf)
        self.places = threading.BoundedSemaphore(MOST_AT_ONCE)
        self._kept: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://{ADDRESS}:{self.server_port}{self.top}"

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        self.reader.start()
        try:
            super().serve_forever(poll_interval)
        finally:
            self.reader.stop()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away in the middle is nothing to tell of."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    def kept(self, key: tuple[str, str]) -> bytes | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def keep(self, key: tuple[str, str], page: bytes) -> bytes:
        with self._lock:
            self._kept[key] = page
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return page


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    protocol_version = "HTTP/1.1"
    timeout = TIMEOUT

    def parse_request(self) -> bool:
        """Whatever is no GET ends here."""
        if not super().parse_request():
            return False
        if self.command != "GET":
            self.close_connection = True  # what it sent with the request is not read
            self._tell(405, TEXT, b"only GET\n", {"Allow": "GET"})
            return False
        return True

    def do_GET(self) -> None:
        if not self.server.places.acquire(blocking=False):
            self._tell(503, TEXT, b"too many requests at once; come again\n")
            return
        try:
            self._answer(self._allowed())
        except RefusedError as refused:
            self._tell(refused.status, TEXT, f"{refused}\n".encode())
        except (ArithmeticError, LookupError, TypeError, ValueError):
            self._tell(500, TEXT, b"this page could not be made; the terminal says why\n")
            raise
        finally:
            self.server.places.release()

    def _allowed(self) -> str:
        """The part of the path behind the token, if the request may be answered at all."""
        host = self.headers.get("Host", "").rpartition("@")[2].partition(":")[0].lower()
        if host not in HOSTS or len(self.headers.get_all("Host", [])) != 1:
            raise RefusedError(403, "this server answers to 127.0.0.1 and localhost alone")
        if len(self.path) > LONGEST:
            raise RefusedError(414, "that address is too long")
        try:
            parts = urlsplit(self.path)
            self.asked = parse_qs(parts.query, max_num_fields=8)
        except ValueError:
            raise RefusedError(400, "that address cannot be understood") from None
        given, _, rest = parts.path.removeprefix("/").partition("/")
        if not hmac.compare_digest(given.encode(), self.server.token.encode()):
            raise RefusedError(
                403, "open the address that `unstuck serve` printed: it carries a token"
            )
        return rest

    def _answer(self, path: str) -> None:
        match path.split("/"):
            case ["live.js"]:
                self._tell(200, "text/javascript; charset=utf-8", pages.script().encode())
            case ["live.css"]:
                self._tell(200, "text/css; charset=utf-8", pages.style().encode())
            case [""]:
                self._runs()
            case ["compare"]:
                self._compare()
            case ["run", number]:
                self._run(self._row(number))
            case ["run", number, "report.html"]:
                self._report(self._row(number))
            case ["run", number, "series", key]:
                self._series(self._row(number), key)
            case _:
                raise RefusedError(404, "there is no such page")

    def _runs(self) -> None:
        shelf = self.server.shelf
        self.server.reader.wanted()
        state = self._state(shelf.rows(), shelf.version, shelf.scanned)
        self._page(state, lambda: pages.runs(shelf, self.server.top, state))

    def _run(self, row: Row) -> None:
        shelf, top = self.server.shelf, self.server.top
        diagnosis = shelf.opened(row.number)
        row = self._row(str(row.number))  # as it is now that it has been read
        others = shelf.rows()
        state = self._state([row], shelf.version_of(row.number), len(others) > 1)

        def made() -> str:
            if diagnosis is None:
                return pages.unreadable(row, top, state)
            return pages.run(row, diagnosis, others, top, state)

        self._page(state, made)

    def _compare(self) -> None:
        shelf, top = self.server.shelf, self.server.top
        chosen = [self._row(self.asked[key][0]) for key in ("a", "b") if key in self.asked]
        opened = [shelf.opened(row.number) for row in chosen]
        pair = (chosen[0], chosen[1]) if len(chosen) == 2 else None
        whole = [d for d in opened if d is not None]
        both = (whole[0], whole[1]) if len(whole) == 2 else None
        rows = shelf.rows()
        versions = [shelf.version_of(row.number) for row in chosen]
        state = self._state(chosen, versions, [row.number for row in rows])
        first = chosen[0] if chosen else None
        self._page(state, lambda: pages.compare(rows, first, pair, both, top, state))

    def _series(self, row: Row, key: str) -> None:
        diagnosis = self.server.shelf.opened(row.number)
        plot = pages.series_plot(diagnosis.run, key) if diagnosis else None
        if plot is None:
            raise RefusedError(404, "there is no such series")
        self._tell(200, HTML, plot.encode())

    def _report(self, row: Row) -> None:
        from unstuck.report import html

        diagnosis = self.server.shelf.opened(row.number)
        if diagnosis is None:
            raise RefusedError(404, "this run cannot be read")
        page = html.render(diagnosis, treatments=prescribe(diagnosis)).encode()
        self._tell(200, HTML, page, {"Content-Disposition": 'attachment; filename="report.html"'})

    def _row(self, number: str) -> Row:
        self.server.reader.wanted()
        known = number.isascii() and number.isdigit() and len(number) < 10
        row = self.server.shelf.row(int(number)) if known else None
        if row is None:
            raise RefusedError(404, "there is no such run")
        return row

    def _state(self, rows: Iterable[Row], *more: object) -> str:
        """A word that changes whenever the page would."""
        told = repr((self.path, [(r.number, r.going, r.error) for r in rows], more))
        return hashlib.sha256(told.encode("utf-8", "replace")).hexdigest()[:24]

    def _page(self, state: str, make: Callable[[], str]) -> None:
        tag = {"ETag": f'"{state}"'}
        if self.headers.get("If-None-Match") == tag["ETag"]:
            self._tell(304, HTML, b"", tag)
            return
        key = (self.path, state)
        page = self.server.kept(key)
        if page is None:
            page = self.server.keep(key, make().encode("utf-8", "replace"))
        self._tell(200, HTML, page, tag)

    def _tell(
        self, status: int, kind: str, content: bytes, more: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, **(more or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def version_string(self) -> str:
        return "unstuck"

    def log_message(self, *told: object) -> None:
        """Requests are nobody's business; what goes wrong is in the answer."""
