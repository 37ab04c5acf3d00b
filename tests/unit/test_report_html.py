import base64
import hashlib
import re
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
import report_sample as sample

from unstuck.records import (
    Cause,
    Diagnosis,
    Evidence,
    Finding,
    Outcome,
    Run,
    Series,
    Treatment,
    Trial,
    Unchecked,
    Verdict,
)
from unstuck.report import html, story
from unstuck.report.pictures import Pictures

VOID = {"meta", "img", "br", "input", "link"}
ATTACK = "loss/<script>alert(1)</script><img src=x onerror=alert(2)>\"'\x1b[2J\n\u202e{{ 7*7 }}"


@pytest.fixture(autouse=True)
def _names(monkeypatch):
    """The codes of the sample, whether or not their detectors exist yet."""
    monkeypatch.setattr(story, "names", lambda: sample.NAMES)
    monkeypatch.setattr(
        story, "lead_of", lambda code: f"what {code} is" if code in sample.NAMES else ""
    )


class Page(HTMLParser):
    """Elements with their attributes, the text, and whether every tag is closed in order."""

    def __init__(self, page: str):
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(page)
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def full() -> str:
    return html.render(
        sample.diagnosis(),
        trial=sample.trial(),
        treatments=sample.treatments(),
        pictures=sample.pictures(),
        command="unstuck run train.py",
    )


def attacked() -> str:
    series = Series(ATTACK, [0, 1, 2], [1.0, 9.0, 9.0])
    evidence = (
        Evidence(series, ">", 2.0, (1, 2)),
        Evidence(Series(ATTACK, [1], [3.0]), ">", 2, (1, 1)),
    )
    finding = Finding(ATTACK, ATTACK, ATTACK, evidence, "error")
    run = Run(
        {ATTACK: series, f"metric/{ATTACK}": series},
        recipe={ATTACK: ATTACK},
        facts={ATTACK: ATTACK, "exit/exception": ATTACK},
        roles={ATTACK: ATTACK},
        name=ATTACK,
    )
    told = Treatment(ATTACK, ATTACK, {ATTACK: ATTACK}, ATTACK, (ATTACK,))
    verdict = Verdict(told, "helped", 1.0, 0.5, 1.5, 0.95, 0.01, 3, note=ATTACK)
    plan = type(sample.trial().plan)(
        ATTACK, {ATTACK: ATTACK}, (told,), (0,), unit=ATTACK, finding=ATTACK
    )
    outcomes = (Outcome(ATTACK, 0, {ATTACK: 1.0}, (ATTACK,)), Outcome("b", 0, error=ATTACK))
    return html.render(
        Diagnosis(run, (Cause(finding, (finding,)),), (Unchecked(ATTACK, (ATTACK,)),)),
        trial=Trial(plan, outcomes, (verdict,)),
        treatments=(told,),
        title=ATTACK,
        command=ATTACK,
        pictures=Pictures((ATTACK,), ((np.zeros((4, 4), np.uint8),),), (ATTACK,), ATTACK),
    )


@pytest.mark.parametrize("make", [full, attacked])
def test_nothing_is_fetched_from_anywhere(make):
    page = Page(make())
    for tag, attributes in page.elements:
        for key in ("src", "srcset", "href", "data", "poster", "action", "xlink:href"):
            where = attributes.get(key, "")
            allowed = (
                where.startswith("#") if tag == "a" else where.startswith("data:image/png;base64,")
            )
            assert not where or allowed, (tag, key, where[:80])
        assert tag not in ("link", "iframe", "object", "embed", "base", "form")
        assert not [key for key in attributes if key.startswith("on") or key == "style"]
    assert "url(" not in make() and "@import" not in make()


def test_the_policy_allows_only_the_pages_own_style_and_script():
    page = full()
    policy = next(m["content"] for m in Page(page).all("meta") if "http-equiv" in m)
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    for tag in ("style", "script"):
        (body,) = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.S)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_hostile_names_become_text():
    page = attacked()
    parsed = Page(page)
    assert len(parsed.all("script")) == 1
    assert all(image["src"].startswith("data:") for image in parsed.all("img"))
    assert not set("\x1b\u202e") & set(page)
    assert "<script>alert(1)</script>" in parsed.text
    assert "{{ 7*7 }}" in parsed.text and r"\x1b[2J\n\u202e" in parsed.text


def test_a_name_of_a_million_characters_and_a_huge_series_stay_small():
    name = "loss/" + "x" * 1_000_000
    value = np.random.default_rng(0).standard_normal(1_000_000)
    series = Series(name, np.arange(value.size), value)
    finding = Finding("OPT003", name, name, (Evidence(series, ">", -9.0, (0, 999_999)),))
    run = Run({name: series}, recipe={name: name}, facts={"exit/exception": name}, name=name)
    assert len(html.render(Diagnosis(run, (Cause(finding),)), command=name)) < 100_000


def test_a_crowd_of_findings_and_series_is_bounded():
    series = Series("loss/loss", np.arange(1000), np.ones(1000))
    finding = Finding("ACT001", "layer", "layer 1", (Evidence(series, ">", 0.5, (0, 999)),) * 20)
    run = Run({f"activation/m.{i}/std": series for i in range(5000)})
    page = html.render(Diagnosis(run, (Cause(finding, (finding,) * 400),) * 50))
    assert len(page) < 4_000_000
    assert page.count('class="span"') <= 24 * 6
    assert "19,950 more findings not listed" in Page(page).text
    assert "4,000 more series not listed" in Page(page).text


def test_the_page_reads_from_verdict_to_run():
    text = Page(full()).text
    order = [
        "COL004",
        "spreads 0.1% of its start",
        "what COL004 is",
        "Proven: lower-content-weight",
        "below 0.001 from step 74 to 249",
        "Explained by this",
        "OPT004",
        "Further causes",
        "LOS002",
        "What to try",
        "the latent keeps its spread",
        "Every pair",
        "Pictures",
        "prediction before",
        "Curves",
        "Shares of value of loss",
        "Not checked",
        "activation/*",
        "Recipe",
        "content_weight",
        "Environment",
        "environment/torch",
        "All series",
    ]
    at = 0
    for part in order:
        assert part in text[at:], part
        at = text.index(part, at)


def test_it_can_be_read_by_keyboard_and_screen_reader():
    page = Page(full())
    assert [len(page.all(tag)) for tag in ("main", "header", "footer", "nav", "h1")] == [1] * 5
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and all(b - a <= 1 for a, b in pairwise(levels))
    skip = next(a for a in page.all("a"))
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert skip["href"] == "#main" and len(ids) == len(set(ids))
    assert {a["href"][1:] for a in page.all("a")} <= set(ids)
    drawings = [a for a in page.all("svg") if a.get("aria-hidden") != "true"]
    assert drawings and all(a["role"] == "img" and a["aria-label"] for a in drawings)
    assert len(page.all("title")) == len(drawings) + 1 and len(page.all("desc")) == len(drawings)
    assert all(image["alt"] for image in page.all("img"))
    assert page.all("html")[0]["lang"] == "en"


def test_every_verdict_is_told_with_effect_interval_pairs_and_word():
    text = Page(full()).text
    assert "+3.6 dB 3.1 to 4.1 5 0.0002 helped lost in 5 of 5" in text
    assert "4 further pairs would settle it" in text
    assert "no difference lost in 0 of 5" in text


def test_a_failed_run_and_an_endless_interval_are_shown_as_such():
    trial = sample.trial()
    verdict = Verdict(trial.plan.treatments[0], "undecided", 1.0, -np.inf, np.inf, 0.95, np.nan, 1)
    outcomes = (
        Outcome("baseline", 0, {"psnr": 1.0}),
        Outcome(verdict.treatment.name, 0, error="killed"),
    )
    text = Page(html.render(sample.diagnosis(), trial=Trial(trial.plan, outcomes, (verdict,)))).text
    assert "failed killed" in text and "-inf to inf" in text and "not run" in text


def test_a_healthy_run_says_how_much_was_looked_for():
    text = Page(html.render(Diagnosis(sample.run(), (), sample.diagnosis().unchecked))).text
    assert "No pathology found in this run" in text
    assert "4 pathologies looked for, 4 not checked" in text


@pytest.mark.parametrize(
    "run",
    [
        Run({}),
        Run({"loss/a": Series("loss/a", [], [])}),
        Run({"loss/a": Series("loss/a", [3], [1.0])}),
        Run({"loss/a": Series("loss/a", [0, 1], [np.nan, np.inf])}),
    ],
)
def test_runs_with_next_to_nothing_can_be_shown(run):
    assert "No pathology found" in Page(html.render(Diagnosis(run, ()))).text


def test_the_same_input_gives_the_same_page():
    assert full() == full()


def test_writing_is_atomic_and_makes_the_folder(tmp_path):
    path = html.write(tmp_path / "new" / "report.html", sample.diagnosis(), trial=sample.trial())
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
