"""A fix told: the same claim in the terminal, in HTML and in JSON, and nothing in it runs."""

import io
import json
import math
import re
import tomllib
from dataclasses import replace

import pytest
from report_sample import run
from rich.console import Console

from unstuck.fixed import (
    Confirmation,
    Fixed,
    Opponent,
    Race,
    Ranks,
    Setting,
    Standing,
    Suggestion,
    Yardstick,
)
from unstuck.fixing.written import settings_toml
from unstuck.records import Cause, Diagnosis, Evidence, Finding, Outcome, Plan, Treatment, Trial
from unstuck.report import fixed_json, fixed_page, fixed_story, fixed_terminal
from unstuck.trials.judge import judge

BAD = "</script><script>alert(1)</script>\x1b[31m"
SEEDS = (1001, 1002, 1003, 1004)


def treatment(name="slower"):
    return Treatment(name, "lower-learning-rate", {"lr/optimizer": "x0.1"}, "falls", ("OPT001",))


def confirmation(effects=(0.5, 0.4, 0.45, 0.55), name="slower"):
    plan = Plan("loss", {}, (treatment(name),), SEEDS, higher_is_better=False, finding="OPT001")
    outcomes = []
    for seed, effect in zip(SEEDS, effects, strict=True):
        outcomes.append(Outcome("baseline", seed, {"loss": 1.0}, ("OPT001",), 2.0))
        outcomes.append(Outcome(name, seed, {"loss": 1.0 - effect}, (), 2.0))
    trial = Trial(plan, tuple(outcomes), judge(plan, outcomes))
    return Confirmation(treatment(name), trial, "effect", trial.verdicts[0].word)


def race(name="slower"):
    return Race(
        (
            Standing(treatment(name), {1: 0.5, 2: 0.25, 3: 0.125}),
            Standing(treatment("broken"), {1: math.nan, 2: -3.0}, 1, 1, "others did better"),
        ),
        ((1, 2), (3,)),
        {1: 1.0, 2: 1.0, 3: math.nan},
        runs=8,
        seconds=16.0,
    )


def fixed(name="slower", **more):
    it = run()
    series = it.series["loss/loss"]
    finding = Finding(
        "OPT001", "optimizer", f"loss rose {BAD}"[:110], (Evidence(series, ">", 0.1, (0, 9)),)
    )
    made = Fixed(
        f"train.py --note '{BAD}'",
        Diagnosis(it, (Cause(finding),)),
        "proven",
        Yardstick("loss", False, "training loss", "the training loss"),
        (treatment(name), treatment("broken")),
        (Suggestion("OPT001", "use-warmup", BAD),),
        race(name),
        confirmation(name=name),
        settings=(Setting("learning rate", "1", "0.1"),),
        again="unstuck run --change lr/optimizer=x0.1 train.py",
        patch=f"--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-lr=1\n+lr=0.1 # {BAD}\n",
        notes=("a note",),
        seconds=40.0,
        runs=17,
    )
    return replace(made, **more)


def printed(it):
    out = io.StringIO()
    console = Console(file=out, width=200, highlight=False)
    fixed_terminal.print_fixed(it, {}, console)
    fixed_terminal.print_race(it.race, it.yardstick, console)
    return out.getvalue()


def test_the_claim_is_the_confirmation_s_and_the_same_everywhere():
    it = fixed()
    claim = fixed_story.claim(it.confirmation)
    assert claim.startswith("loss better by 0.48 (95 % interval 0.37 to 0.58, ")
    assert claim.endswith("4 pairs on fresh seeds); OPT001 lost in 4 of 4")
    told = json.loads(fixed_json.dumps(it))
    assert claim in printed(it) and claim in fixed_page.render(it)
    assert told["confirmation"]["claim"] == claim
    assert told["cost"] == {"runs": 17, "seconds": 40.0}
    assert told["race"]["standings"][1]["differences"] == {"1": None, "2": -3.0}
    assert fixed_story.raced(it.race) == "2 rounds on seeds 1, 2, 3: 8 runs"


@pytest.mark.parametrize("name", ["slower", BAD])
def test_what_comes_from_outside_is_escaped_and_nothing_is_loaded(name):
    it = fixed(name)
    page = fixed_page.render(it)
    assert "alert(1)</script>" not in page and "\x1b" not in page
    assert page.count("<script>") == 1 and "\x1b" not in printed(it)
    assert not re.search(r"(src|href)=\"(?!#)", page)
    assert "default-src &#39;none&#39;" in page
    settings = tomllib.loads(settings_toml(it))
    assert settings["changes"] == {"lr/optimizer": "x0.1"} and settings["seeds"] == list(SEEDS)


def test_every_word_has_its_headline_and_a_page():
    none = {"confirmation": None, "settings": (), "again": "", "patch": ""}
    for word, more in (
        ("proven", {}),
        ("harmed", {"confirmation": confirmation((-0.5, -0.4, -0.45, -0.55))}),
        ("not proven", {"confirmation": confirmation((0.5, -0.4, 0.45, -0.55))}),
        ("not proven", none),
        ("nothing to try", {**none, "race": None, "candidates": ()}),
        ("nothing to fix", {**none, "race": None, "candidates": (), "yardstick": None}),
    ):
        it = fixed(word=word, **more)
        headline = fixed_story.headline(it)
        assert headline in fixed_page.render(it).replace("&#39;", "'")
        assert json.loads(fixed_json.dumps(it))["headline"] == headline
        assert ("Proven" in headline) == (word == "proven")
        assert "helps" not in headline or word == "proven"


def test_a_finding_gone_is_never_called_proven():
    gone = replace(confirmation(), judging="finding", ranks=Ranks(9, 0, 0, 0.004, 0.4, 0.3, 0.5))
    by = Yardstick("loss", False, "none", "two losses play against each other")
    it = fixed(word="finding gone", confirmation=gone, yardstick=by)
    text = printed(it) + fixed_page.render(it)
    assert "Finding gone: slower removes OPT001" in text
    assert "without the finding in 9 of 9 pairs" in text
    assert "Proven" not in text and "median difference" not in text
    assert "judged by the finding alone" in text and "1 where it is gone" in text


def test_random_search_stands_beside_it():
    lost = Opponent(11, 12, 24.0, None, "no draw was better than the untreated script")
    found = Opponent(11, 12, 24.0, confirmation(name="lr x0.2, clip 1"))
    for opponent, words in ((lost, lost.note), (found, "lr x0.2, clip 1")):
        it = fixed(opponent=opponent)
        assert words in printed(it) and words in fixed_page.render(it)
