"""`unstuck case CASE PROGRAM`: what one case alone can do."""

from click.testing import CliRunner

from unstuck.cli import main


def ran(*words):
    return CliRunner().invoke(main, ["case", *words])


def test_a_case_lists_its_programs():
    done = ran("zi2zi")
    assert done.exit_code == 0
    listed = [line.split()[0] for line in done.output.splitlines()]
    assert {"font2img", "infer", "export-font", "plan-memory", "recover-recipe", "compare"} <= set(
        listed
    )
    assert "train" not in listed and "study" not in listed


def test_what_is_no_program_is_said_in_one_line():
    done = ran("zi2zi", "paint")
    assert done.exit_code == 1
    assert "case zi2zi has no program 'paint'; there are:" in done.output
    assert ran("course", "paint").output.strip().endswith("it has none of its own")


def test_what_is_no_case_is_no_command():
    done = ran("nothing")
    assert done.exit_code == 2
    assert "No such command 'nothing'" in done.output


def test_a_program_ends_with_its_own_status(tmp_path, capfd):
    done = ran("zi2zi", "recover-recipe", str(tmp_path / "none.pt"))
    assert done.exit_code == 2
    assert "none.pt" in capfd.readouterr().err
