"""`unstuck diagnose`, `series`, `sources` and `watch` on logs, as a user types them."""

import json
import math
import sys

import jsonschema
import pytest

from unstuck import cli
from unstuck.report import as_json


@pytest.fixture
def unstuck(monkeypatch, capsys, tmp_path):
    """Run the command; its exit status, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["unstuck", *map(str, words)])
        try:
            cli.entry()
            status = 0
        except SystemExit as done:
            status = done.code or 0
        told = capsys.readouterr()
        return status, told.out, told.err

    return run


def write(path, diverges=False, steps=200, name="loss"):
    """A loss that falls, or that climbs again from the middle on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"step,{name}"]
    for t in range(steps):
        loss = 0.3 + 2 * math.exp(-t / 30) + 0.01 * (t % 3)
        rows.append(f"{t},{loss + (0.1 * (t - steps // 2) if diverges and t > steps // 2 else 0)}")
    path.write_text("\n".join(rows) + "\n")
    return path


def test_a_table_is_diagnosed_without_being_told_what_it_is(unstuck, tmp_path):
    status, out, _ = unstuck("diagnose", write(tmp_path / "log.csv", diverges=True))
    assert status == 0 and "error OPT003 diverging-loss: loss/loss ends at" in out


def test_fail_on_sets_the_exit_status(unstuck, tmp_path):
    sick, well = write(tmp_path / "a.csv", diverges=True), write(tmp_path / "b.csv")
    assert unstuck("diagnose", sick, "--fail-on", "error")[0] == 1
    assert unstuck("diagnose", well, "--fail-on", "info")[0] == 0


def test_a_folder_of_runs_is_a_table_sorted_by_severity(unstuck, tmp_path):
    write(tmp_path / "runs/aa/log.csv")
    write(tmp_path / "runs/bb/log.csv", diverges=True)
    status, out, _ = unstuck("diagnose", "runs", "--fail-on", "error")
    lines = out.splitlines()
    assert status == 1 and lines[1].split()[:4] == ["error", "bb/log.csv", "200", "OPT003"]
    assert lines[-1] == "1 run with an error at worst, 1 run without a finding"


def test_several_paths_are_diagnosed_together(unstuck, tmp_path):
    write(tmp_path / "a.csv", diverges=True)
    write(tmp_path / "runs/b.csv")
    _, out, _ = unstuck("diagnose", "a.csv", "runs", "--json", "out.json")
    assert out.splitlines()[1].split()[:2] == ["error", "a.csv"]
    assert "1 run without a finding" in out
    told = json.loads((tmp_path / "out.json").read_text())["reports"]
    assert [report["run"]["name"] for report in told] == ["a.csv", "runs/b.csv"]


def test_many_runs_are_diagnosed_by_several_processes_as_by_one(unstuck, tmp_path):
    for i in range(30):
        write(tmp_path / f"runs/{i:02}/log.csv", diverges=i % 7 == 0, steps=60)
    one = unstuck("diagnose", "runs", "--jobs", 1, "--json", "one.json")
    two = unstuck("diagnose", "runs", "--jobs", 2, "--json", "two.json")
    assert one == two and "5 runs with an error at worst, 25 runs" in one[1]
    assert (tmp_path / "one.json").read_text() == (tmp_path / "two.json").read_text()


def test_the_json_of_many_runs_holds_reports_that_obey_the_schema(unstuck, tmp_path):
    write(tmp_path / "runs/a/log.csv", diverges=True)
    write(tmp_path / "runs/b/log.csv")
    unstuck("diagnose", "runs", "--json", "out.json")
    told = json.loads((tmp_path / "out.json").read_text())
    assert told["schema"] == "unstuck.reports/1" and len(told["reports"]) == 2
    for report in told["reports"]:
        jsonschema.validate(report, as_json.schema())
    assert told["reports"][0]["run"]["series"][0]["logged"] == "loss"


def test_one_unreadable_log_among_many_is_told_and_the_others_are_read(unstuck, tmp_path):
    write(tmp_path / "runs/a/log.csv")
    broken = tmp_path / "runs/b/run.sqlite"
    broken.parent.mkdir()
    broken.write_bytes(b"nothing of the kind")
    status, out, err = unstuck("diagnose", "runs")
    assert status == 0 and "1 run without a finding" in out
    assert err.count("\n") == 1 and "run.sqlite is damaged" in err


def test_annotations_for_a_workflow_are_one_escaped_line_each(unstuck, tmp_path):
    write(tmp_path / "a,b%.csv", diverges=True)
    _, out, _ = unstuck("diagnose", "a,b%.csv", "--format", "github")
    assert out.startswith("::error file=a%2Cb%25.csv,title=OPT003 diverging-loss::")
    assert out.count("\n") == 1


def test_a_baseline_silences_what_is_known_and_nothing_else(unstuck, tmp_path):
    write(tmp_path / "runs/a/log.csv", diverges=True)
    write(tmp_path / "runs/b/log.csv")
    assert "written to base.json" in unstuck("diagnose", "runs", "--write-baseline", "base.json")[2]
    assert unstuck("diagnose", "runs", "--baseline", "base.json", "--fail-on", "info")[0] == 0
    write(tmp_path / "runs/b/log.csv", diverges=True)
    status, out, _ = unstuck("diagnose", "runs", "--baseline", "base.json", "--fail-on", "error")
    assert status == 1 and "b/log.csv" in out and "a/log.csv" not in out


def test_settings_are_found_above_and_their_reasons_shown(unstuck, tmp_path):
    write(tmp_path / "log.csv", diverges=True)
    (tmp_path / "unstuck.toml").write_text('[per-run]\n"log*" = ["OPT003 # it is meant to"]\n')
    status, out, _ = unstuck("diagnose", "log.csv", "--fail-on", "error")
    assert status == 0 and "accepted: OPT003 diverging-loss" in out and "(it is meant to)" in out


def test_roles_in_settings_may_be_of_other_logs(unstuck, tmp_path):
    (tmp_path / "unstuck.toml").write_text('[roles]\nscore = "validation"\n')
    assert unstuck("diagnose", write(tmp_path / "log.csv"))[0] == 0
    assert unstuck("watch", "log.csv", "--every", 0.05, "--until-idle", 0)[0] == 0


def test_settings_in_pyproject_select_and_set_severities(unstuck, tmp_path):
    write(tmp_path / "log.csv", diverges=True)
    project = tmp_path / "pyproject.toml"
    project.write_text('[tool.unstuck]\nfail-on = "warning"\n[tool.unstuck.severity]\nOPT = "info"')
    status, out, _ = unstuck("diagnose", "log.csv")
    assert status == 0 and "info OPT003" in out
    project.write_text('[tool.unstuck]\nselect = ["GEN"]\n')
    assert "OPT003" not in unstuck("diagnose", "log.csv")[1]


def test_an_ignored_code_is_counted_as_ignored(unstuck, tmp_path):
    _, out, _ = unstuck("diagnose", write(tmp_path / "a.csv", diverges=True), "--ignore", "opt003")
    assert "1 ignored" in out and "OPT003" not in out


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("sellect = []", "unknown key 'sellect'; there are select"),
        ('select = ["OPT033"]', "no pathology is called 'OPT033'; did you mean OPT"),
        ('select = "OPT003"', "must be a list of codes"),
        ('[severity]\nOPT003 = "bad"', "'bad' is none of error, warning, info"),
        ('[per-run]\n"a*" = ["OPT003"]', "with its reason"),
        ('[roles]\nx = "boss"', "is no role"),
        ('baseline = "missing.json"', "missing.json cannot be read"),
        ("select = [", "is no TOML"),
        ("roles = 3", "must be a table"),
    ],
)
def test_wrong_settings_end_in_one_line(unstuck, tmp_path, settings, told):
    (tmp_path / "unstuck.toml").write_text(settings)
    status, _, err = unstuck("diagnose", write(tmp_path / "log.csv"))
    assert status == 2 and told in err and err.count("\n") == 1


@pytest.mark.parametrize("content", ["", "[]", '{"schema": "other"}', "[" * 100_000, "\xff"])
def test_a_file_that_is_no_baseline_ends_in_one_line(unstuck, tmp_path, content):
    (tmp_path / "base.json").write_bytes(content.encode("latin-1"))
    log = write(tmp_path / "log.csv")
    status, _, err = unstuck("diagnose", log, "--baseline", "base.json")
    assert status == 2 and "base.json" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("diagnose", "missing.csv"), "does not exist"),
        (("diagnose", "log.csv", "--role", "x"), "give NAME=ROLE"),
        (("diagnose", "log.csv", "--role", "x=loss"), "there is no series 'x'"),
        (("diagnose", "log.csv", "--role", "loss=boss"), "is no role"),
        (("diagnose", "log.csv", "--severity", "OPT003=bad"), "none of error, warning, info"),
        (("diagnose", "runs", "--html", "x.html"), "--html is for one run"),
        (("series", "README.md"), "is no log unstuck can read"),
        (("explain", "nothing"), "no pathology, remedy, probe or log format"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(unstuck, tmp_path, words, told):
    write(tmp_path / "log.csv")
    write(tmp_path / "runs/a.csv")
    write(tmp_path / "runs/b.csv")
    (tmp_path / "README.md").write_text("# A project\n\nIts loss falls.\n")
    status, _, err = unstuck(*words)
    assert status == 2 and told in err and err.count("\n") == 1


def test_series_tells_how_everything_was_read_and_roles_correct_it(unstuck, tmp_path):
    log = write(tmp_path / "log.csv", name="train/my_err")
    _, out, _ = unstuck("series", log)
    assert "metric/train/my_err" in out and "training" in out
    assert "read as csv-table, a step is one step" in out
    _, out, _ = unstuck("series", log, "--role", "train/my_err=loss")
    assert "loss/my_err" in out and "train/my_err" in out


def test_sources_lists_every_format_and_explain_shows_its_page(unstuck):
    _, out, _ = unstuck("sources")
    names = [line.split()[0] for line in out.splitlines()]
    assert {"csv-table", "unstuck-run"} <= set(names)
    for name in names:
        assert "What is read" in unstuck("explain", name)[1]


HOSTILE = {
    "markup": "loss <script>alert(1)</script>",
    "controls": "loss \x1b[2J\x1b]0;title\x07",
    "lines": "loss\nerror: no",
    "a megabyte": "loss " + "k" * 1_000_000,
}


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_hostile_names_are_shown_escaped_and_shortened(unstuck, tmp_path, name, kind):
    values = [(t, 2.0 / (1 + t) + (t > 100) * t) for t in range(200)]
    log = tmp_path / f"log.{kind}"
    if kind == "csv":
        quoted = name.replace('"', '""')
        log.write_text("".join([f'step,"{quoted}"\n', *(f"{t},{v}\n" for t, v in values)]))
    else:
        log.write_text("".join(json.dumps({"step": t, name: v}) + "\n" for t, v in values[:40]))
    status, out, err = unstuck("series", log)
    assert status == 0 and not err
    assert "\x1b" not in out and max(map(len, out.splitlines())) < 500
    assert "loss/" in out or "metric/" in out
    status, out, _ = unstuck("diagnose", log, "--html", "page.html", "--format", "terminal")
    assert "\x1b" not in out and max(map(len, out.splitlines())) < 500
    page = (tmp_path / "page.html").read_text()
    assert "<script>alert" not in page and len(page) < 1_000_000


def test_watch_tells_what_is_new_once_and_ends_when_nothing_happens(unstuck, tmp_path):
    log = write(tmp_path / "log.csv", diverges=True)
    status, out, _ = unstuck("watch", log, "--every", 0.05, "--until-idle", 0.2)
    assert status == 0 and out.count("OPT003") == 1 and out.startswith("log, step 199: error")


def test_watch_ends_with_one_at_a_finding_as_bad_as_asked(unstuck, tmp_path):
    log = write(tmp_path / "log.csv", diverges=True)
    assert unstuck("watch", log, "--every", 0.05, "--fail-on", "error")[0] == 1
