"""What every remedy promises. Each check takes a remedy and raises AssertionError."""

import doctest
import re
import sys

import numpy as np

from unstuck import catalog
from unstuck.records import Finding, Run, Series
from unstuck.remedy import Remedy
from unstuck.vocabulary import meaning_of

SECTIONS = ("What it changes", "What is expected", "When it does not help", "Origin")
VERBS = re.compile(
    "add|augment|clip|compute|drop|freeze|give|initialise|lower|normalise|overfit|raise|reattach|"
    "regularise|rescale|stop|update|use"
)


def page_runs(remedy: Remedy) -> list[tuple[Run, Finding]]:
    """Every (run, finding) the page's examples hand to the remedy."""
    seen: list[tuple[Run, Finding]] = []

    def spy(run: Run, finding: Finding):
        seen.append((run, finding))
        return remedy(run, finding)

    run_examples(remedy, spy)
    return seen


def run_examples(remedy: Remedy, stand_in) -> int:
    names = {remedy.function.__name__: stand_in}
    example = doctest.DocTestParser().get_doctest(remedy.page, names, remedy.name, None, 0)
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    return runner.run(example, out=lambda text: None).failed


def plausible_run() -> Run:
    """A run in which every kind of series a remedy may choose from is present."""
    values = {
        "loss/total": np.linspace(1.0, 0.7, 20),
        "term/total/a": np.linspace(0.3, 0.001, 20),
        "term/total/b": np.linspace(0.7, 0.699, 20),
        "weight/total/a": np.ones(20),
        "weight/total/b": np.ones(20),
        "gradient_share/total/a": np.full(20, 0.999),
        "gradient_share/total/b": np.full(20, 0.001),
        "latent/net.encoder/pull/total:a": np.full(20, 0.5),
        "lr/optimizer_D": np.full(20, 1e-3),
        "lr/optimizer_G": np.full(20, 1e-3),
    }
    return Run({n: Series(n, np.arange(20), v) for n, v in values.items()})


# Checks --------------------------------------------------------------------------------


def check_name_is_an_order(remedy):
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", remedy.name)
    assert VERBS.fullmatch(remedy.name.split("-")[0]), "a remedy's name begins with a verb"


def check_page_opens_with_its_name(remedy):
    assert re.match(rf"{remedy.name}: .+[.]\n\n", remedy.page)


def check_page_has_every_section_in_order(remedy):
    assert tuple(re.findall(r"^## (.+)$", remedy.page, re.M)) == SECTIONS


def check_examples_run(remedy):
    assert run_examples(remedy, remedy) == 0
    assert remedy.safety == "advice" or page_runs(remedy), "a live remedy shows its treatments"


def check_answers_known_codes_whose_pages_name_it(remedy):
    pages = {d.code: d.page for d in catalog.detectors()}
    assert remedy.answers and set(remedy.answers) <= pages.keys()
    for code in remedy.answers:
        assert f"`{remedy.name}`" in pages[code], f"{code} does not name {remedy.name}"


def check_advice_changes_nothing(remedy):
    for code in remedy.answers:
        treatments = remedy(plausible_run(), Finding(code, "total/a", "", ()))
        assert remedy.safety != "advice" or not treatments


def check_treatments_are_live_changes_of_this_run(remedy):
    run = plausible_run()
    for code in remedy.answers:
        for where in ("total/a", "net.encoder", "optimizer_G", "nowhere"):
            for treatment in remedy(run, Finding(code, where, "", ())):
                assert treatment.remedy == remedy.name and treatment.answers == (code,)
                assert treatment.changes and treatment.expectation
                for name, value in treatment.changes.items():
                    assert "/" not in name or (name in run.series and meaning_of(name))
                    assert not isinstance(value, str) or float(value.removeprefix("x")) >= 0


def check_silent_where_the_run_lacks_what_it_changes(remedy):
    for code in remedy.answers:
        assert not remedy(Run({}), Finding(code, "total/a", "", ()))


def check_file_is_named_after_it(remedy):
    assert sys.modules[remedy.function.__module__].__name__.endswith(remedy.name.replace("-", "_"))


CHECKS = tuple(value for name, value in list(globals().items()) if name.startswith("check_"))
