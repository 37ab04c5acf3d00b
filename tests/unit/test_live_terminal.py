"""`unstuck run --live`: a view below the script's output, which stays as it is."""

import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import termios
import textwrap
import time

import numpy as np
import pytest
from small_terminal import SmallTerminal

from unstuck.diagnose import diagnose
from unstuck.live.panel import ASCII, panel
from unstuck.live.region import Region, has_room
from unstuck.live.sparkline import bar, sparkline
from unstuck.records import Diagnosis, Run, Series

COLUMNS, ROWS, SECONDS = 100, 30, 120
TRAIN = """
    import pathlib, sys, time, torch

    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    print("begins", flush=True)
    step = 0
    try:
        while step < 40 or (sys.argv[1] == "long" and not pathlib.Path("stop").exists()):
            x = torch.randn(16, 3)
            loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            if step <= 40:
                print("line", step, flush=True)
            if sys.argv[1] == "long":
                time.sleep(0.02)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        sys.exit(7)
    sys.exit(3 if sys.argv[1] == "long" else 0)
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "train.py"
    path.write_text(textwrap.dedent(TRAIN))
    return path


class InTerminal:
    """`unstuck ...` with a terminal as its standard error, and as its output unless a file."""

    def __init__(self, *words, cwd, output=None, rows=ROWS, **extra):
        self.screen = SmallTerminal(COLUMNS, rows)
        self.raw = ""
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, COLUMNS, 0, 0))
        env = {**os.environ, "TERM": "xterm", "PYTHONIOENCODING": "utf-8", "NO_COLOR": "1", **extra}
        env.pop("COLUMNS", None)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "unstuck", *map(str, words)],
            cwd=cwd, env=env, stdin=slave, stdout=output or slave, stderr=slave,
            start_new_session=True,
        )  # fmt: skip
        os.close(slave)

    def until(self, condition):
        """Show what is written until something is to be seen; None: until the end."""
        end = time.monotonic() + SECONDS
        while not (condition and condition(self)):
            assert time.monotonic() < end, self.screen.text
            if select.select([self._master], [], [], 0.2)[0]:
                try:
                    piece = os.read(self._master, 65536).decode()
                except OSError:  # the other end was closed
                    piece = ""
                if not piece:
                    assert condition is None, self.screen.text
                    break
                self.raw += piece
                self.screen.feed(piece)
        return self

    def ended(self):
        self.until(None)
        os.close(self._master)
        return self.process.wait(SECONDS)


@pytest.fixture
def in_terminal():
    started = []

    def start(*words, **how):
        started.append(InTerminal(*words, **how))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()


def test_the_view_stands_below_what_the_script_prints(script, tmp_path, in_terminal):
    run = in_terminal("run", "--live", script, "long", cwd=tmp_path)
    run.until(lambda r: "line 40" in r.screen.text and "steps/s" in r.screen.text)
    run.until(lambda r: "learning rate" in r.screen.text)
    title = ROWS - 12
    run.until(lambda r: r.screen.text.splitlines()[title - 2] == "line 40")  # and its end of line
    lines = run.screen.text.splitlines()
    assert lines[title].startswith("── train")
    above = [line for line in lines[:title] if line]
    assert above == [f"line {n}" for n in range(41 - len(above), 41)] and len(above) == title - 1
    view = "\n".join(lines[title:])
    assert "gradient norm" in view and "line" not in view
    (tmp_path / "stop").touch()
    assert run.ended() == 3  # the script's own status
    after = run.raw.rpartition("\x1b[r")[2]  # the whole screen scrolls again
    assert (run.screen.top, run.screen.bottom) == (0, ROWS - 1)
    assert "up to then:" in after and "recorded in" in after and "steps/s" not in after
    assert "steps/s" not in run.screen.text and "recorded in" in run.screen.text


def test_redirected_output_is_that_of_the_script_alone(script, tmp_path, in_terminal):
    alone = subprocess.run([sys.executable, script, "short"], cwd=tmp_path, capture_output=True)
    with (tmp_path / "out.txt").open("wb") as file:
        run = in_terminal("run", "--live", script, "short", cwd=tmp_path, output=file)
        assert run.ended() == 0
    assert (tmp_path / "out.txt").read_bytes() == alone.stdout
    assert "── train" in run.raw


def test_ctrl_c_reaches_the_script_and_gives_the_terminal_back(script, tmp_path, in_terminal):
    run = in_terminal("run", "--live", script, "long", cwd=tmp_path)
    run.until(lambda r: "line 40" in r.screen.text)
    os.killpg(run.process.pid, signal.SIGINT)  # what the terminal does on Ctrl-C
    assert run.ended() == 7
    assert "interrupted" in run.raw and "recorded in" in run.screen.text
    assert (run.screen.top, run.screen.bottom) == (0, ROWS - 1)


def test_without_a_terminal_there_is_one_line_instead(script, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "unstuck", "run", "--live", script, "short"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0 and done.stdout.startswith("begins\nline 1\n")
    assert done.stderr.startswith("unstuck: no live view: standard error is no terminal")
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize(("rows", "term"), [(10, "xterm"), (30, "dumb")])
def test_a_terminal_that_is_too_small_or_too_plain_gets_no_view(
    script, tmp_path, in_terminal, rows, term
):
    run = in_terminal("run", "--live", script, "short", cwd=tmp_path, rows=rows, TERM=term)
    assert run.ended() == 0 and "no live view" in run.raw and "\x1b7" not in run.raw


def test_a_region_fits_itself_to_a_terminal_that_changes_its_size():
    master, slave = os.openpty()
    region = Region(slave)
    for rows in (20, 40):
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, 80, 0, 0))
        assert has_room(slave)
        region.fit()
        region.draw(["one", "two"])
        written = ""
        while "two" not in written:
            written += os.read(master, 100_000).decode()
        assert f"\x1b[1;{rows - region.height}r" in written
        assert f"\x1b[{rows - region.height + 1};1H\x1b[2Kone" in written
    region.close()
    assert "\x1b[r" in os.read(master, 100_000).decode()
    os.close(master)
    os.close(slave)


def run_of(**columns):
    return Run.of(**columns)


def shown(run, height=12, width=80, signs=ASCII, diagnosis=None):
    found = diagnosis or diagnose(run)
    return [line.plain for line in panel("train", 3725, found, width, height, signs)]


def test_the_panel_tells_the_time_the_step_the_losses_and_what_was_found():
    sick = Run.of(loss__d=[1.0, 0.5] + [float("nan")] * 30, loss__g=np.linspace(2, 1, 32))
    lines = shown(sick)
    assert lines[0].startswith("-- train - 1:02:05 - step 31 ")
    assert "error NUM001 non-finite-loss: loss/d" in lines[1]
    assert lines[2].split()[:2] == ["d", "NaN"] and "!" in lines[2]
    assert lines[3].split()[:2] == ["g", "1"]


def test_what_has_no_room_is_left_out_in_the_order_of_its_worth():
    run = Run.of(
        **{f"loss__{i}": [2.0, 1.0] for i in range(4)},
        lr__adam=[0.1, 0.1],
        share__0__l1=[0.5, 0.8],
        share__0__adversarial=[0.5, 0.2],
        metric__val__psnr=[20.0, 21.0],
    )
    whole = "\n".join(shown(run, 20))
    assert all(word in whole for word in ("psnr", "learning rate", "value of 0", "l1 80 %"))
    few = shown(run, 5, diagnosis=Diagnosis(run, ()))
    assert [line.split()[0] for line in few[1:]] == ["nothing", "0", "1", "learning"]


def test_no_name_breaks_the_lines():
    hostile = "\x1b[2J" + "x" * 500 + "\n"
    columns = {f"loss/{hostile}": [1.0, 2.0], f"share/{hostile}/{hostile}": [0.5, 0.5]}
    run = Run({n: Series(n, np.arange(2), np.array(v)) for n, v in columns.items()})
    for line in shown(run, diagnosis=Diagnosis(run, ())):
        assert len(line) <= 80 and "\x1b" not in line and "\n" not in line


def test_before_anything_is_known_the_view_says_that_it_waits():
    assert [line.plain for line in panel("t", 0, None, 40, 8, ASCII)][1].startswith("waiting")
    assert shown(Run({}))[1].startswith("waiting")


@pytest.mark.parametrize(
    "values", [[0.0], [1e300, -1e300], [float("inf")] * 3, [5.0] * 1000, [-1.0, 0.0, 1e-300]]
)
def test_every_series_is_a_line_of_its_width_at_most(values):
    series = Series("x", np.arange(len(values)) * 10**15, np.array(values))
    assert 0 < len(sparkline(series, 20)) <= 20


def test_a_spike_among_a_million_readings_is_seen():
    values = np.ones(1_000_000)
    values[500_000] = 2.0
    assert sparkline(Series("x", np.arange(values.size), values), 9) == "▁▁▁▁█▁▁▁▁"


def test_a_bar_is_as_wide_as_it_should_be():
    for shares in ([1.0], [0.5, 0.5], [1 / 3] * 3, [0.1] * 10, [float("nan"), 1.0]):
        assert len(bar(shares, 20)) == 20
