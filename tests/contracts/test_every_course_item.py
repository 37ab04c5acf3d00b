"""Every item of the course gets every check, with no list to keep up to date; the checks bite."""

from types import ModuleType

import course_contract as contract
import pytest
from course_syllabus import entries, settled

from unstuck import casework
from unstuck.cases.course import item

ITEMS = item.names()
GOOD = item.load("cnn")


@pytest.mark.parametrize("check", contract.STATIC, ids=lambda c: c.__name__.removeprefix("check_"))
@pytest.mark.parametrize("name", ITEMS)
def test_static_contract(name, check):
    check(item.load(name))


@pytest.mark.parametrize("name", ITEMS)
def test_trains_on_embedded_data(name, tmp_path, monkeypatch):
    monkeypatch.setenv("UNSTUCK_CACHE", str(tmp_path / "nothing-was-fetched"))
    contract.check_trains(item.load(name), tmp_path / "out")


def test_the_command_line_finds_the_same_items():
    assert list(casework.items("course")) == ITEMS


def test_there_are_thirty_items():
    assert len(ITEMS) >= 30


def test_every_exact_entry_has_its_test():
    exact = {row["id"] for row in entries() if "exact" in row["marks"]}
    assert not exact - settled(), sorted(exact - settled())
    assert settled() <= {row["id"] for row in entries()}


def broken(**changes) -> ModuleType:
    """The good item with some of its attributes replaced."""
    module = ModuleType(GOOD.__name__, GOOD.__doc__)
    module.__dict__.update({**vars(GOOD), **changes})
    return module


def test_an_item_that_imports_another_fails(tmp_path):
    for line in (
        "from unstuck.cases.course import knn",
        "from unstuck.cases.course.vgg import VGG",
    ):
        file = tmp_path / "nosy.py"
        file.write_text(line)
        with pytest.raises(AssertionError, match=r"knn|vgg"):
            contract.check_imports_no_other_item(broken(__file__=str(file)))


class Silent(item.Recipe):
    knob: int = 3


@pytest.mark.parametrize(
    ("check", "subject"),
    [
        (contract.check_docstring, broken(__doc__=GOOD.__doc__.replace("1998", ""))),
        (contract.check_docstring, broken(__doc__=GOOD.__doc__.replace("6.02", "6.99"))),
        (contract.check_docstring, broken(__doc__=GOOD.__doc__.replace("Run: ", "Try: "))),
        (contract.check_constants, broken(MARGIN=0)),
        (contract.check_constants, broken(train=lambda recipe: {})),
        (contract.check_knobs_say_why, broken(Recipe=Silent)),
        (contract.check_faults, broken(FAULTS={})),
        (contract.check_faults, broken(FAULTS={"idle": item.Fault({}, "nothing at all is seen")})),
        (contract.check_faults, broken(FAULTS={"dead-relu": item.Fault({"bias": -8.0}, "")})),
    ],
)
def test_a_broken_item_fails(check, subject):
    with pytest.raises(AssertionError):
        check(subject)


@pytest.mark.parametrize(
    "train",
    [
        lambda recipe, seed, out=None: {"test_accuracy": 0.5},
        lambda recipe, seed, out=None: {"test_accuracy": float("nan"), "baseline": 0.1},
        lambda recipe, seed, out=None: {"test_accuracy": 0.5, "baseline": 0.1},  # no picture
    ],
)
def test_an_item_that_does_not_deliver_fails(train, tmp_path):
    with pytest.raises(AssertionError):
        contract.check_trains(broken(train=train), tmp_path)


@pytest.mark.parametrize(
    ("numbers", "said"),
    [((0.1, 0.5, 0.2, 0.3), "two results"), ((0.1, 0.5, 0.1, 0.1), "changes nothing")],
)
def test_an_item_that_ignores_its_seed_fails(numbers, said, tmp_path):
    left = iter(numbers)

    def train(recipe, seed, out=None):
        if out is not None:
            (out / "picture.png").write_bytes(b"a picture")
        return {"test_accuracy": next(left), "baseline": 0.1}

    with pytest.raises(AssertionError, match=said):
        contract.check_trains(broken(train=train), tmp_path)
