"""What is proposed can be asked for, and each set of changes is proposed once."""

from unstuck.prescribe import prescribe
from unstuck.records import Cause, Diagnosis, Finding, Run

RUN = Run.of(lr__adam=[0.1] * 9, grad_norm__adam=[3.0] * 9, attention__net__entropy=[1.0] * 9)


def diagnosis(run, *findings):
    return Diagnosis(run, tuple(Cause(Finding(code, where, "", ())) for code, where in findings))


def test_the_page_of_a_pathology_gives_the_order_of_its_remedies():
    found = prescribe(diagnosis(RUN, ("OPT005", "loss/train")))
    assert [t.remedy for t in found] == [
        *("clip-gradients", "clip-gradients"),
        *("lower-learning-rate", "lower-learning-rate"),
    ]


def test_the_same_change_for_two_causes_is_proposed_once():
    found = prescribe(diagnosis(RUN, ("OPT005", "loss/train"), ("OPT001", "adam")))
    changes = [tuple(t.changes.items()) for t in found]
    assert len(set(changes)) == len(changes)
    assert ("lr/adam", "x0.3") in {c for change in changes for c in change}


def test_a_name_that_no_change_can_be_written_of_is_left_out():
    name = "gradient_share/loss/train/l1"  # a term of a foreign log, with a slash of its own
    run = Run.of(**{name: [1e-5] * 9})
    assert prescribe(diagnosis(run, ("LOS002", "loss/train/l1"))) == ()
    plain = Run.of(gradient_share__loss__l1=[1e-5] * 9)
    assert len(prescribe(diagnosis(plain, ("LOS002", "loss/l1")))) == 1


def test_an_unknown_code_has_no_treatment():
    assert prescribe(diagnosis(RUN, ("XXX999", "adam"))) == ()
