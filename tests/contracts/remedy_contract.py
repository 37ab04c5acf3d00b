"""What every remedy promises. Each check takes a remedy and raises AssertionError."""

import doctest
import re
import sys

import numpy as np

from unstuck import catalog
from unstuck.changes import parsed
from unstuck.records import Finding, Run, Series
from unstuck.remedy import Remedy
from unstuck.signals.inventory import models, optimizers
from unstuck.vocabulary import meaning_of

MOST_TREATMENTS = 3  # of one remedy for one finding: each costs a trial
WHERES = (
    *("total/a", "net.encoder", "net", "judge", "optimizer_G", "optimizer_D/1", "loss/total"),
    *("loss/d_loss", "cross_entropy", "mse_loss", "scaler", "validation", "nowhere"),
)
SECTIONS = ("What it changes", "What is expected", "When it does not help", "Origin")
VERBS = re.compile(
    "add|augment|clip|compute|drop|freeze|give|initialise|lower|normalise|overfit|raise|reattach|"
    "regularise|rescale|smooth|step|stop|update|use"
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
    """A run in which every kind of series and fact a remedy may choose from is present."""
    values = {
        "loss/total": np.linspace(1.0, 0.7, 20),
        "loss/d_loss": np.linspace(1.0, 0.7, 20),
        "term/total/a": np.linspace(0.3, 0.001, 20),
        "term/total/b": np.linspace(0.7, 0.699, 20),
        "term/total/kl": np.full(20, 0.01),
        "weight/total/a": np.ones(20),
        "weight/d_loss/a": np.full(20, 0.1),
        "weight/total/b": np.ones(20),
        "gradient_share/total/a": np.full(20, 0.999),
        "gradient_share/total/b": np.full(20, 0.001),
        "latent/net.encoder/pull/total:a": np.full(20, 0.5),
        "lr/optimizer_D": np.full(20, 1e-3),
        "lr/optimizer_D/1": np.full(20, 1e-4),
        "lr/optimizer_G": np.full(20, 1e-3),
        "weight_decay/optimizer_D": np.full(20, 0.1),
        "weight_decay/optimizer_G": np.zeros(20),
        "grad_norm/optimizer_G": np.full(20, 7.0),
        "grad_norm/optimizer_G/net.encoder": np.full(20, 3.0),
        "grad_norm/optimizer_D/judge.0": np.full(20, 3.0),
        "update_ratio/optimizer_G": np.full(20, 1e-6),
        "real/judge/spread": np.full(20, 0.3),
        "activation/net.input/mean": np.full(20, 130.0),
        "activation/net.input/std": np.full(20, 60.0),
        "attention/net.encoder/entropy": np.full(20, 0.5),
        "prediction/cross_entropy/probability": np.ones(20),
        "target/cross_entropy/majority": np.full(20, 0.97),
        "broadcast/mse_loss": np.full(20, 64.0),
        "loss_scale/scaler": np.geomspace(65536, 1, 20),
        "orphaned/judge": np.ones(20),
    }
    facts = {
        "parameters/net": 100,
        "parameters/judge": 100,
        "optimizer/optimizer_D": "AdamW",
        "optimizer/optimizer_G": "SGD",
        "idle/optimizer_G": 256,
    }
    recipe = {"batch_size": 4, "num_workers": 0, "hidden_dim": 8}
    return Run({n: Series(n, np.arange(20), v) for n, v in values.items()}, recipe, facts)


def exists(run: Run, name: str) -> bool:
    """Whether what a change is of is known to be in the run."""
    kind, _, where = name.partition("/")
    if not where:
        return name in run.recipe
    if kind == "steps":
        return f"idle/{where}" in run.facts
    if kind in ("weight", "floor", "ramp"):
        return any(f"{what}/{where}" in run.series for what in ("term", "weight", "gradient_share"))
    if kind in ("r1", "r2", "freeze", "initialisation", "input", "mode"):
        return where.split(".")[0] in models(run)
    if kind in ("label_smoothing", "scores", "class_weight"):
        return any(n.startswith(("prediction/", "target/")) for n in run.series)
    if kind == "targets":
        return bool(run.matching("broadcast/*"))
    if kind == "precision":
        return bool(run.matching("loss_scale/*"))
    return where in optimizers(run)


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


def check_acts_on_a_plausible_run(remedy):
    if remedy.safety != "advice":
        found = [
            remedy(plausible_run(), Finding(c, w, "", ())) for c in remedy.answers for w in WHERES
        ]
        assert any(found), "no finding anywhere moves it to act"


def check_treatments_are_live_changes_of_this_run(remedy):
    run = plausible_run()
    for code in remedy.answers:
        for where in WHERES:
            treatments = remedy(run, Finding(code, where, "", ()))
            assert len(treatments) <= MOST_TREATMENTS
            assert_sound(remedy, run, code, treatments)


def assert_sound(remedy, run, code, treatments):
    """Each has a name of its own and an expectation, and changes only what there is."""
    assert len({t.name for t in treatments}) == len(treatments)
    assert len({str(sorted(t.changes.items())) for t in treatments}) == len(treatments)
    for treatment in treatments:
        assert treatment.remedy == remedy.name and treatment.answers == (code,)
        assert treatment.changes and treatment.expectation and len(treatment.name) <= 200
        live = {name: value for name, value in treatment.changes.items() if "/" in name}
        for change in parsed(live).values():
            assert not change.multiple or meaning_of(change.name), "a multiple of what was not read"
        for name, value in treatment.changes.items():
            assert exists(run, name), f"{name} is not in the run"
            assert name in live or value != run.recipe[name], f"{name} stays {value}"


def check_silent_where_the_run_lacks_what_it_changes(remedy):
    for code in remedy.answers:
        assert not remedy(Run({}), Finding(code, "total/a", "", ()))


def check_file_is_named_after_it(remedy):
    assert sys.modules[remedy.function.__module__].__name__.endswith(remedy.name.replace("-", "_"))


CHECKS = tuple(value for name, value in list(globals().items()) if name.startswith("check_"))
