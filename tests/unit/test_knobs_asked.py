"""What a search turns when it is asked for a remedy, or for nothing in particular."""

import pytest

from unstuck.diagnose import diagnose
from unstuck.fixing.knobs_asked import knobs_asked, own_fields
from unstuck.fixing.script import Script
from unstuck.records import Cause, Diagnosis, Finding, Run
from unstuck.trials.knobs import Knob

SCRIPT = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--batch-size", type=int, default=16)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
"""


@pytest.fixture
def script(tmp_path):
    file = tmp_path / "train.py"
    file.write_text(SCRIPT)
    return Script.of((str(file),))


def diagnosed(code, **more):
    run = Run.of(lr__opt=[0.1] * 50, loss__loss=[1.0] * 50, **more)
    return Diagnosis(run, (Cause(Finding(code, "opt", "", (), "error")),))


def test_a_remedy_is_searched_around_the_numbers_it_proposes(script):
    (knob,) = knobs_asked(diagnosed("OPT001"), script, remedy="lower-learning-rate")
    assert (knob.change, knob.multiple, knob.log) == ("lr/opt", True, True)
    assert knob.low == pytest.approx(0.01)
    assert knob.high == pytest.approx(3.0)


def test_without_a_remedy_all_that_the_diagnosis_proposes_is_searched(script):
    changes = {knob.change for knob in knobs_asked(diagnosed("OPT001"), script)}
    assert "lr/opt" in changes
    assert all(change.endswith("/opt") for change in changes)


def test_a_flag_a_remedy_would_set_is_searched_around_its_value(script):
    found = knobs_asked(diagnosed("NRM001", recipe={"batch_size": 16}), script)
    assert Knob("batch_size", 2, 640, whole=True, log=True) in found


def test_the_seed_is_no_field_to_search(script):
    assert own_fields(script) == {"batch_size": 16}


def test_a_healthy_run_proposes_nothing_to_search(script):
    healthy = diagnose(Run.of(lr__opt=[0.1] * 50, loss__loss=[1 - i / 100 for i in range(50)]))
    with pytest.raises(ValueError, match="the diagnosis proposes no number for this run"):
        knobs_asked(healthy, script)


def test_a_layer_of_a_known_model_can_be_named_and_another_model_cannot(script):
    facts = {"parameters/net": 5}
    diagnosis = diagnosed("OPT001", facts=facts)
    (knob,) = knobs_asked(diagnosis, script, ["initialisation/net.head=kaiming,xavier"])
    assert knob.choices == ("kaiming", "xavier")
    with pytest.raises(ValueError, match=r"there is no initialisation/other in the run"):
        knobs_asked(diagnosis, script, ["initialisation/other=kaiming,xavier"])
