"""The pages of the local server in a real browser, with runs that grow while they are shown."""

import shutil
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import pytest
from growing_run import GrowingRun
from headless_chromium import BROWSER, SECONDS, Page
from test_live_server import listed, serving
from test_log_commands import write

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome on the PATH")

FIRST = "tr[data-run='1']"


@pytest.fixture
def page():
    page = Page()
    yield page
    page.close()


@contextmanager
def served(runs):
    """The command as a user gives it: the address it prints, and its process."""
    command = [sys.executable, "-m", "unstuck", "serve", str(runs)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            printed = process.stdout.readline()
            url = printed.split()[-1]
            until = time.monotonic() + SECONDS
            while b"/run/1" not in urllib.request.urlopen(url, timeout=SECONDS).read():
                assert time.monotonic() < until
                time.sleep(0.2)
            yield url, process
        finally:
            process.kill()


def text(selector):
    return f"document.querySelector({selector!r})?.innerText"


def test_the_list_follows_runs_that_grow_and_runs_that_are_new(page, tmp_path):
    run = GrowingRun(tmp_path / "first")
    run.grow(20)
    with serving(tmp_path) as server:
        page.open(server.url)
        page.wait_for("document.querySelector('tr[data-run]')?.innerText.includes('20')")
        page.value("window.sameDocument = true")
        run.grow(25)
        write(tmp_path / "second.csv", diverges=True)
        page.wait_for("document.querySelectorAll('tr[data-run]').length === 2")
        page.wait_for(f"({text(FIRST)} || '').includes('45')")
        page.wait_for(f"{text('table.runs')}.includes('OPT003')")
        assert "running" in page.value(text(FIRST))
        assert page.value("window.sameDocument"), "the page was loaded anew"
        run.close()
        page.wait_for(f"{text(FIRST)}.includes('ended')")
        assert page.complaints == []


def test_a_run_is_followed_without_losing_ones_place(page, tmp_path):
    run = GrowingRun(tmp_path / "r")
    run.grow(40)
    with serving(tmp_path) as server:
        listed(server, 1)
        page.open(server.url + "run/1")
        page.value("document.querySelector('#series details').open = true")
        page.wait_for("document.querySelector('#series details svg path.line')")
        page.value("document.querySelector('#series').scrollIntoView()")
        before = page.value("document.querySelector('#series h2').getBoundingClientRect().top")
        run.grow(20, loss__other=float("nan"))
        page.wait_for(f"{text('.state')}.includes('step 59')")
        page.wait_for(f"{text('#series')}.includes('loss/other')")
        page.wait_for("document.querySelector('h1').innerText.includes('loss/other')")  # NUM001
        assert page.value("document.querySelector('#series details').open")
        assert page.value("!!document.querySelector('#series details svg path.line')")
        after = page.value("document.querySelector('#series h2').getBoundingClientRect().top")
        assert abs(after - before) < 3
        assert page.value("document.querySelectorAll('#terms polygon.area').length") == 2
        assert page.value("document.querySelectorAll('#layers path.heat').length") >= 6
        assert page.complaints == []


def test_what_lies_under_the_pointer_is_told(page, tmp_path):
    run = GrowingRun(tmp_path / "r")
    run.grow(40)
    run.close()
    with serving(tmp_path) as server:
        listed(server, 1)
        page.open(server.url + "run/1")
        for plot, told in (("#curves", "loss: "), ("#terms", "l1: "), ("#layers", "second\n")):
            page.value(f"document.querySelector('{plot} svg[data-x]').scrollIntoView()")
            box = page.value(
                f"(() => {{ const b = document.querySelector('{plot} svg[data-x]')"
                ".getBoundingClientRect(); return [b.left + b.width * 0.6, b.top, b.height]; })()"
            )
            down = 0.3 if plot == "#layers" else 0.5
            page.point_at(box[0], box[1] + box[2] * down)
            shown = page.wait_for(
                "!document.querySelector('#reading').hidden && " + text("#reading")
            )
            assert shown.startswith("step ") and told in shown, shown
        assert page.complaints == []


def test_names_from_logs_run_no_script(page, tmp_path):
    hostile = "<img src=x onerror=window.hacked=1><script>window.hacked=1<"
    run = GrowingRun(tmp_path / hostile, **{hostile: 1.0})
    run.grow(30, **{f"loss/{hostile}": 1.0, f"share/loss/{hostile}": 0.5})
    with serving(tmp_path) as server:
        listed(server, 1)
        page.open(server.url)
        page.wait_for(f"{text('table.runs')}.includes('<img src=x')")
        page.open(server.url + "run/1")
        page.value("for (const it of document.querySelectorAll('details')) it.open = true")
        page.wait_for("document.querySelectorAll('.lazy svg').length >= 3")
        run.grow(10)
        page.wait_for(f"{text('.state')}.includes('step 39')")
        assert page.value(f"{text('#series')}.includes('<img src=x')")
        assert page.value("window.hacked === undefined && !document.querySelector('img')")
        assert page.complaints == []
    run.close()


def test_a_server_that_has_ended_is_told(page, tmp_path):
    run = GrowingRun(tmp_path / "r")
    run.grow(40)
    run.close()
    with served(tmp_path) as (url, process):
        page.open(url + "run/1")
        assert page.value("document.querySelector('#banner').hidden")
        process.kill()
        page.wait_for(f"{text('#banner')}.includes('does not answer')")
        assert "step 39" in page.value(text(".state"))  # what was known stays


def test_a_run_that_was_deleted_is_told(page, tmp_path):
    run = GrowingRun(tmp_path / "r")
    run.grow(40)
    run.close()
    with serving(tmp_path) as server:
        listed(server, 1)
        page.open(server.url + "run/1")
        shutil.rmtree(tmp_path / "r")
        page.wait_for(f"{text('#banner')}.includes('no longer there')")


def test_runs_are_sorted_filtered_and_compared(page, tmp_path):
    for name, steps in (("aa", 30), ("bb", 90), ("cc", 60)):
        run = GrowingRun(tmp_path / name, seed=steps)
        run.grow(steps)
        run.close()
    order = "[...document.querySelectorAll('tr[data-run]')].filter(r => !r.hidden)" \
            ".map(r => r.querySelector('a').innerText).join()"  # fmt: skip
    with serving(tmp_path) as server:
        listed(server, 3)
        page.open(server.url)
        page.value("document.querySelectorAll('th[data-sort] button')[2].click()")
        assert page.value(order) == "bb,cc,aa"
        page.value("document.querySelectorAll('th[data-sort] button')[2].click()")
        assert page.value(order) == "aa,cc,bb"
        for word, left in (("b", "bb"), ("", "aa,cc,bb")):
            page.value(
                f"{{const f = document.querySelector('#filter'); f.value = '{word}';"
                "f.dispatchEvent(new Event('input'))}"
            )
            assert page.value(order) == left
        assert page.value("document.querySelector('#compare').disabled")
        page.value(
            "for (const b of [...document.querySelectorAll('tr input')].slice(0, 2)) b.click()"
        )
        page.value("document.querySelector('#compare').click()")
        page.wait_for(
            "location.pathname.endsWith('/compare') && document.querySelector('#recipe td')"
        )
        assert page.value("document.querySelectorAll('#curves path.s1').length") >= 3
        assert "seed" in page.value(text("#recipe"))
        assert page.complaints == []
