"""Finished runs are used again where everything that decides them is the same, and nowhere else."""

import json
import os
import textwrap
from pathlib import Path

import pytest

import unstuck
from unstuck.records import Outcome
from unstuck.trials import cache
from unstuck.trials.cache import Cache
from unstuck.trials.code import code_of, files_of, uses_torch
from unstuck.trials.command_line import plan_of
from unstuck.trials.plan import planned
from unstuck.trials.schedule import jobs_of
from unstuck.trials.subject import Subject

TRAIN = """
    import model
    from parts import width
    from settings import read

    def train(recipe, seed):
        with open("log", "a") as log:
            log.write(f"{recipe['gain']} {seed}\\n")
        if recipe["gain"] == 7.0:
            raise RuntimeError("unlucky")
        return {"score": recipe["gain"] + seed % 3 / 10 + model.BIAS, "other": 2.0}
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "parts").mkdir()
    files = {
        "training.py": textwrap.dedent(TRAIN),
        "model.py": "BIAS = 0.0\n",
        "parts/__init__.py": "from .inner import depth\n",
        "parts/inner.py": "depth = 2\n",
        "parts/width.py": "import importlib\nother = importlib.import_module('named')\n",
        "named.py": "import training\n",
        "settings.py": "def read():\n    return open('settings.yaml').read()\n",
        "settings.yaml": "rate: 1\n",
        "unused.yaml": "rate: 1\n",
        "unused.py": "BIAS = 1.0\n",
        "data.csv": "1,2\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNSTUCK_CACHE", str(tmp_path / "kept"))
    return tmp_path


def names_of(files):
    return sorted(str(file.relative_to(Path.cwd())) for file in files)


CODE = [
    "model.py",
    "named.py",
    "parts/__init__.py",
    "parts/inner.py",
    "parts/width.py",
    "settings.py",
    "settings.yaml",
    "training.py",
]


def test_the_code_of_a_run_is_what_it_imports_of_its_own(project):
    assert names_of(code_of("training", [project])) == CODE
    assert names_of(code_of(project / "training.py", [project])) == CODE
    (project / "model.py").write_text("import torch\nimport numpy\nimport unstuck\nimport gone\n")
    files = code_of("training", [project])
    assert names_of(files) == CODE  # installed packages have versions
    assert uses_torch(files) and not uses_torch([project / "named.py"])
    (project / "model.py").write_text("this is no Python (\n")
    assert "model.py" in names_of(code_of("training", [project]))
    assert code_of("no_such_module", [project]) == code_of("os.path", [project]) == ()


@pytest.mark.parametrize(
    ("command", "known"),
    [
        ("python training.py {seed}", True),
        ("python -u training.py {seed}", True),
        ("python -m training {seed}", True),
        ("python -m parts.width {seed}", True),
        ("python -c 'print(1)' {seed}", False),
        ("bash train.sh {seed}", False),
        ("python", False),
    ],
)
def test_the_code_of_a_command_is_known_where_it_is_python(project, command, known):
    assert bool(files_of(Subject(command=command))) is known


def plan_with(**baseline):
    baseline = {"gain": 1.0, **baseline}
    return planned("score", baseline, {"more": {"gain": 2.0}}, [3, 4])


def key(plan=None, subject=None, job=0):
    plan = plan or plan_with()
    subject = subject or Subject(train="training:train", path=(str(Path.cwd()),))
    return Cache(plan, subject)._file(jobs_of(plan, cache.default_folder())[job]).name


def test_equal_runs_have_equal_keys_whatever_else_changes(project):
    before = key()
    (project / "unused.py").write_text("BIAS = 2.0\n")
    (project / "unused.yaml").write_text("rate: 2\n")
    (project / "data.csv").write_text("3,4\n")  # data is no part of it: docs/trials.md says so
    (project / "model.py").touch()
    plan = planned("other", {"gain": 1.0}, {"x": {"gain": 5.0}, "y": {}}, [9, 3], margin=3.0)
    assert key(plan, job=3) == before == key()


def test_everything_that_decides_a_run_changes_its_key(project):
    keys = [key(), key(job=1), key(job=2), key(plan_with(depth=1)), key(plan_with(depth="1"))]
    live = planned("score", {"gain": 1.0}, {"lower": {"lr/optimizer": "x0.1"}}, [3])
    keys.append(key(live, job=1))
    path = (str(Path.cwd()),)
    keys.append(key(subject=Subject(train="training:other", path=path)))
    keys.append(key(subject=Subject(train="training:train", path=path, watch=True)))
    for name in ("training.py", "model.py", "parts/inner.py", "named.py", "settings.yaml"):
        file = project / name
        file.write_text(file.read_text() + "# changed\n")
        keys.append(key())
    assert len(set(keys)) == len(keys)


def test_files_and_values_on_the_command_line_are_part_of_the_key(project):
    plan, subject = plan_of(
        ["python", "training.py", "{a.yaml,b.yaml}", "--seed", "{seed}"], "score", 2
    )
    (project / "a.yaml").write_text("x: 1\n")
    before = [key(plan, subject, job) for job in (0, 1, 2)]
    assert len(set(before)) == 3
    (project / "a.yaml").write_text("x: 2\n")
    after = [key(plan, subject, job) for job in (0, 1, 2)]
    assert before[0] != after[0] and before[1] == after[1]


def trial(out, treatments, seeds=2, **fields):
    fields = {"metric": "score", "workers": 2, "progress": False, **fields}
    path = f"{Path.cwd()}/training.py:train"
    return unstuck.trial(path, {"gain": 1.0}, treatments, out=out, seeds=seeds, **fields)


def runs_done(project):
    log = project / "log"
    lines = sorted(log.read_text().splitlines()) if log.exists() else []
    log.unlink(missing_ok=True)
    return lines


def test_a_baseline_that_was_run_before_costs_nothing(project, capsys):
    first = trial("one", {"more": {"gain": 2.0}, "bad": {"gain": 7.0}})
    assert len(runs_done(project)) == 6
    second = trial("two", {"less": {"gain": 0.5}, "bad": {"gain": 7.0}}, progress=True, runs=4)
    assert runs_done(project) == ["0.5 0", "0.5 1", "7.0 0", "7.0 1"]  # failures are tried anew
    assert [o for o in second.outcomes if o.arm == "baseline"] == [
        o for o in first.outcomes if o.arm == "baseline"
    ]
    lines = capsys.readouterr().err.splitlines()
    assert sum("kept from before" in line for line in lines) == 2
    kept = [json.loads(line) for line in Path("two/results.jsonl").read_text().splitlines()]
    assert sum(line.get("kept", False) for line in kept) == 2
    trial("three", {"less": {"gain": 0.5}}, cache=False)
    assert len(runs_done(project)) == 4
    (project / "model.py").write_text("BIAS = 5.0\n")
    changed = trial("four", {"less": {"gain": 0.5}})
    assert len(runs_done(project)) == 4
    assert changed.outcomes[0].metrics["score"] == first.outcomes[0].metrics["score"] + 5.0


def test_a_trial_whose_code_changed_while_it_ran_says_so(project, capsys):
    text = (project / "training.py").read_text()
    (project / "training.py").write_text(text.replace("import model", "import model, rewritten"))
    (project / "rewritten.py").write_text("open('parts/inner.py', 'a').write('# more\\n')\n")
    trial("one", {"more": {"gain": 2.0}}, seeds=1, progress=True)
    assert capsys.readouterr().err.splitlines()[-1] == (
        "inner.py changed while the trial ran: its runs are not of one code"
    )


def test_an_arm_equal_to_another_is_never_the_others_run(project):
    trial("one", {"same": {}})
    assert runs_done(project) == ["1.0 0", "1.0 0", "1.0 1", "1.0 1"]
    trial("two", {"same": {}})
    assert runs_done(project) == ["1.0 0", "1.0 1"]


def kept_runs(**outcome):
    plan, subject = plan_with(), Subject(train="training:train", path=(str(Path.cwd()),))
    kept = Cache(plan, subject)
    job = jobs_of(plan, cache.default_folder())[0]
    outcome = {"metrics": {"score": 1.5}, "codes": ("A1",), "seconds": 2.0, **outcome}
    return kept, job, Outcome(job.arm, job.seed, **outcome)


def test_only_runs_that_ended_well_under_this_very_code_are_kept(project):
    for outcome in ({"error": "crashed"}, {"metrics": {"score": float("nan")}}):
        kept, job, run = kept_runs(**outcome)
        kept.keep(job, run)
        assert kept.found(job) is None
    kept, job, run = kept_runs()
    (project / "model.py").write_text("BIAS = 2.0  # while it ran\n")
    kept.keep(job, run)
    assert kept.found(job) is None and Cache(plan_with(), kept.subject).found(job) is None
    kept, job, run = kept_runs()
    kept.keep(job, run)
    assert kept.found(job) == run
    other = Cache(planned("other", {"gain": 1.0}, {"a": {"gain": 2.0}}, [3]), kept.subject)
    assert other.found(job) is None  # the metric asked for is not among what was kept
    other.keep(job, Outcome(job.arm, job.seed, {"other": 3.0}))
    assert kept.found(job).metrics == other.found(job).metrics == {"score": 1.5, "other": 3.0}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"metrics": {"score": "NaN"}, "codes": null, "seconds": 1}',
        '{"metrics": {"score": []}, "codes": null, "seconds": 1}',
        '{"metrics": {"score": 1}, "codes": 3, "seconds": 1}',
        '{"metrics": {"score": 1}}',
    ],
)
def test_a_damaged_kept_run_is_none(project, text):
    kept, job, run = kept_runs()
    kept.keep(job, run)
    kept._file(job).write_text(text)
    assert kept.found(job) is None
    kept.keep(job, run)
    assert kept.found(job) == run


def test_a_bounded_number_of_runs_is_kept_the_latest_used(project, monkeypatch):
    monkeypatch.setattr(cache, "MOST", 3)
    folder = project / "kept" / "00"
    folder.mkdir(parents=True)
    for age in range(6):
        file = folder / f"{age}.json"
        file.write_text("{}")
        os.utime(file, (1000 - age, 1000 - age))
    cache._drop_oldest(folder)
    assert sorted(file.name for file in folder.iterdir()) == ["0.json", "1.json", "2.json"]


def test_runs_are_kept_beside_the_runs_unless_said_otherwise(monkeypatch):
    monkeypatch.delenv("UNSTUCK_CACHE", raising=False)
    monkeypatch.delenv("UNSTUCK_RUNS", raising=False)
    assert str(cache.default_folder()) == "runs/.cache"
    monkeypatch.setenv("UNSTUCK_RUNS", "mine")
    assert str(cache.default_folder()) == "mine/.cache"
