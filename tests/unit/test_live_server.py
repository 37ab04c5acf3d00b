"""The local server, asked as a program asks: who gets an answer, and which."""

import http.client
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest
from growing_run import GrowingRun
from test_log_commands import write

from unstuck.live.server import Server

SECONDS = 60


@contextmanager
def serving(root):
    """A server of the runs below `root`; ends with the block."""
    server = Server(root)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def runs(tmp_path):
    run = GrowingRun(tmp_path / "runs" / "first", lr=1e-3)
    run.grow(50)
    run.close()
    return tmp_path / "runs"


def ask(server, path="", method="GET", token=None, host="127.0.0.1", **headers):
    """(status, headers, text) of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=SECONDS)
    try:
        top = server.top if token is None else f"/{token}/" if token else "/"
        connection.putrequest(method, top + path, skip_host=True)
        for one in [host] if isinstance(host, str) else host:
            connection.putheader("Host", one)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, dict(answer.headers), answer.read().decode()
    finally:
        connection.close()


def wait_for(condition, what):
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError(f"waited in vain for {what}")


def listed(server, count):
    """Wait until the list holds so many runs, all read; their rows by name."""

    def there():
        server.reader.wanted()
        rows = server.shelf.rows()
        return len(rows) == count and all(row.read for row in rows) and rows

    return {row.name: row for row in wait_for(there, f"{count} runs")}


PAGES = ("", "run/1", "run/1/report.html", "run/1/series/0", "compare", "live.js", "live.css")


@pytest.mark.parametrize("page", PAGES)
def test_without_the_token_there_is_nothing(runs, page):
    with serving(runs) as server:
        listed(server, 1)
        for token in ("", "x" * len(server.token), server.token[:-1], server.token.upper()):
            status, _, text = ask(server, page, token=token)
            assert status == 403 and "token" in text and "first" not in text
            assert server.token not in text


def test_every_server_has_another_token_that_nobody_guesses(runs):
    with serving(runs) as one, serving(runs) as other:
        assert one.token != other.token and len(one.token) >= 32
        assert ask(one, token=other.token)[0] == 403


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "127.0.0.1@evil"])
def test_another_host_name_is_refused_though_it_points_here(runs, host):
    with serving(runs) as server:
        assert ask(server, host=host)[0] == 403
        assert ask(server, host=("127.0.0.1", host))[0] == 403


@pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost:9000", "LOCALHOST"])
def test_the_end_of_a_tunnel_may_be_another_port(runs, host):
    with serving(runs) as server:
        assert ask(server, host=host)[0] == 200


def test_it_listens_on_this_machine_alone(runs):
    with serving(runs) as server:
        assert server.server_address[0] == "127.0.0.1"
        with socket.socket() as probe, pytest.raises(OSError):
            probe.connect(("127.0.0.2", server.server_port))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "FROB"])
def test_only_get_is_answered(runs, method):
    with serving(runs) as server:
        status, headers, _ = ask(server, method=method)
        assert status == 405 and headers["Allow"] == "GET"
        assert not any(name.lower().startswith("access-control") for name in headers)


@pytest.mark.parametrize(
    "path",
    [
        "run/0", "run/2", "run/-1", "run/99999999999999999999", "run/first", "run/1/", "run",
        "../../etc/passwd", "run/../../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "run/%2e%2e",
        "run/1/series/nothing", "run/1/series/../../../../etc/passwd", "templates/live.js",
        "compare?a=7&b=1", "//etc/passwd", "run/1_0",
    ],
)  # fmt: skip
def test_what_is_no_page_is_not_found(runs, path):
    with serving(runs) as server:
        listed(server, 1)
        status, _, text = ask(server, path)
        assert status == 404 and "root:" not in text


@pytest.mark.parametrize(("path", "status"), [("x" * 3000, 414), ("compare?" + "a=1&" * 50, 400)])
def test_unreasonable_addresses_are_refused(runs, path, status):
    with serving(runs) as server:
        assert ask(server, path)[0] == status


def test_pages_allow_nothing_from_elsewhere(runs):
    with serving(runs) as server:
        listed(server, 1)
        for page in ("", "run/1", "compare"):
            status, headers, text = ask(server, page)
            policy = headers["Content-Security-Policy"]
            assert status == 200 and "default-src 'none'" in policy and "unsafe" not in policy
            assert headers["Referrer-Policy"] == "no-referrer"
            assert headers["Cache-Control"] == "no-store"
            assert "http://" not in text.replace("http://www.w3.org", "") and "https://" not in text
            assert " style=" not in text and "onclick" not in text


def test_a_run_that_has_not_changed_costs_no_page(runs):
    with serving(runs) as server:
        listed(server, 1)
        _, headers, _ = ask(server, "run/1")
        status, _, text = ask(server, "run/1", If_None_Match=headers["ETag"])
        assert (status, text) == (304, "")


def test_a_page_changes_with_its_run(tmp_path):
    run = GrowingRun(tmp_path / "r")
    run.grow(40)
    with serving(tmp_path) as server:
        listed(server, 1)
        _, headers, text = ask(server, "run/1")
        assert "running" in text and "at step 39" in text
        run.grow(25)
        wait_for(lambda: "at step 64" in ask(server, "run/1")[2], "the new steps")
        assert ask(server, "run/1", If_None_Match=headers["ETag"])[0] == 200
        run.note(exit__exception="ValueError: no")
        run.close()
        wait_for(lambda: "ended</span> at step 64" in ask(server, "run/1")[2], "the end")


def test_names_from_logs_are_only_text(tmp_path):
    hostile = "<img src=x onerror=hacked=1>"
    run = GrowingRun(tmp_path / hostile, **{hostile: 1.0})
    run.grow(30, **{f"loss/{hostile}": 1.0, f"share/loss/{hostile}": 0.5})
    run.grow(1, **{f"grad_norm/adam/net.{hostile}": 1.0, f"metric/val/\x1b]0;{hostile}": 1.0})
    run.close()
    write(tmp_path / f"{hostile}.csv")
    with serving(tmp_path) as server:
        rows = listed(server, 2)
        numbers = [row.number for row in rows.values()]
        pages = ["", *(f"run/{n}" for n in numbers), f"compare?a={numbers[0]}&b={numbers[1]}"]
        for page in pages:
            status, _, text = ask(server, page)
            assert status == 200 and "&lt;img src=x" in text
            assert "<img" not in text and "\x1b" not in text
        from unstuck.live.pages import key_of

        one = next(row.number for name, row in rows.items() if not name.endswith(".csv"))
        status, _, text = ask(server, f"run/{one}/series/{key_of(f'loss/{hostile}')}")
        assert status == 200 and "<img" not in text and "&lt;img" in text


def test_an_empty_folder_says_what_to_do_and_is_looked_at_again(tmp_path):
    with serving(tmp_path) as server:
        text = wait_for(lambda: (t := ask(server)[2]) and "No run is here yet" in t and t, "a hint")
        assert "unstuck run train.py" in text
        run = GrowingRun(tmp_path / "late")
        run.grow(5)
        run.close()
        assert "late" in listed(server, 1)


def test_a_damaged_run_is_told_and_does_not_hide_the_others(runs):
    (runs / "broken").mkdir()
    (runs / "broken" / "run.sqlite").write_bytes(b"SQLite format 3\x00" + b"\xff" * 5000)
    with serving(runs) as server:
        rows = listed(server, 2)
        assert rows["broken"].error and not rows["first"].error
        assert "damaged" in ask(server)[2]
        status, _, text = ask(server, f"run/{rows['broken'].number}")
        assert status == 200 and "damaged" in text
        status, _, text = ask(server, f"compare?a={rows['broken'].number}&b={rows['first'].number}")
        assert status == 200 and "cannot be read" in text


def test_a_run_deleted_while_it_is_shown_is_gone(runs):
    with serving(runs) as server:
        listed(server, 1)
        assert ask(server, "run/1")[0] == 200
        shutil.rmtree(runs / "first")
        wait_for(lambda: ask(server, "run/1")[0] == 404, "the run to be gone")
        assert "No run is here" in wait_for(lambda: ask(server)[2], "the list")


def test_logs_of_other_formats_are_shown_too(tmp_path):
    write(tmp_path / "logs" / "a.csv", diverges=True)
    write(tmp_path / "logs" / "b.csv")
    with serving(tmp_path) as server:
        rows = listed(server, 2)
        assert rows["logs/a.csv"].worst == "error" and rows["logs/b.csv"].worst is None
        text = ask(server, f"run/{rows['logs/a.csv'].number}")[2]
        assert "OPT003" in text and "read as csv-table" in text


def test_two_runs_are_compared(tmp_path):
    for name, rate in (("a", 1e-3), ("b", 5e-2)):
        run = GrowingRun(tmp_path / name, lr=rate, batch=8)
        run.grow(60, **({"metric/val/loss": 1.0} if name == "a" else {}))
        run.close()
    with serving(tmp_path) as server:
        rows = listed(server, 2)
        text = ask(server, f"compare?a={rows['a'].number}&b={rows['b'].number}")[2]
        assert "<td>0.001</td><td>0.05</td>" in text and "1 field is equal" in text
        assert "loss/loss" in text and "Only A has 1 series" in text


def test_a_whole_report_can_be_saved(runs):
    with serving(runs) as server:
        listed(server, 1)
        status, headers, text = ask(server, "run/1/report.html")
        assert status == 200 and text.startswith("<!doctype html>")
        assert headers["Content-Disposition"].startswith("attachment")


def serve(*words, cwd):
    """What the command says to bad input: status, standard error."""
    command = [sys.executable, "-m", "unstuck", "serve", *map(str, words)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=SECONDS)
    return done.returncode, done.stderr


def test_bad_input_ends_in_one_clear_line(tmp_path):
    assert serve("nowhere", cwd=tmp_path) == (
        2, "unstuck: nowhere does not exist; give the folder that runs lie in\n"
    )  # fmt: skip
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, told = serve(tmp_path, "--port", port, cwd=tmp_path)
    assert status == 2 and told.startswith(f"unstuck: port {port} cannot be had (")


def test_the_host_cannot_be_chosen(tmp_path):
    status, told = serve(tmp_path, "--host", "0.0.0.0", cwd=tmp_path)
    assert status == 2 and "No such option" in told


def test_ctrl_c_ends_the_server(runs):
    command = [sys.executable, "-m", "unstuck", "serve", str(runs)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline().startswith(b"unstuck: ")
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == 0 and process.stderr.read() == b""
