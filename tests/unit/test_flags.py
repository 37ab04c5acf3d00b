"""What can be set from a script's command line is read from its source and from its words."""

import subprocess
import sys
from ast import literal_eval

import pytest

from unstuck.flags import batch_flag, flags_of, seed_flag, words_with

ARGPARSE = """
import argparse
WORKERS = 4
p = argparse.ArgumentParser()
p.add_argument("data")
p.add_argument("-b", "--batch-size", type=int, default=64)
p.add_argument("--lr", type=float, default=-1e-3)
p.add_argument("--seed", type=int)
p.add_argument("--amp", action="store_true")
p.add_argument("--sizes", nargs="+", type=int)
p.add_argument("--workers", dest="loaders", default=WORKERS)
print(vars(p.parse_args()))
"""


@pytest.fixture
def script(tmp_path):
    def write(text, name="train.py"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def values(flags):
    return {f.field: f.value for f in flags}


def test_argparse_flags_with_their_defaults_and_what_the_words_say(script):
    flags = flags_of(script(ARGPARSE), ["pictures", "-b", "32", "--amp", "--sizes", "1", "2"])
    assert values(flags) == {
        "batch_size": 32,
        "lr": -1e-3,
        "seed": None,
        "amp": True,
        "sizes": None,
        "loaders": 4,
    }
    assert seed_flag(flags).option == "--seed"
    assert batch_flag(flags).value == 32 and batch_flag(flags).given


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["-b", "32"],
        ["--batch-size=32", "--amp"],
        ["--batch", "32", "--sizes", "1", "2"],
        ["--seed", "1", "--lr", "0.5"],
    ],
)
def test_a_changed_call_means_to_the_script_what_was_asked(script, words):
    file = script(ARGPARSE)
    call = ["pictures", *words]
    asked = words_with(call, flags_of(file, call), {"seed": 7, "batch_size": 128})

    def said(arguments):
        out = subprocess.run(
            [sys.executable, file, *arguments], capture_output=True, text=True, check=True
        )
        return out.stdout

    before, after = literal_eval(said(call)), literal_eval(said(asked))
    assert after == {**before, "seed": 7, "batch_size": 128}


def test_click_typer_absl_and_fire(script):
    click = "import click\n@click.command()\n@click.option('--bs', default=8)\ndef main(bs): ..."
    assert batch_flag(flags_of(script(click))).option == "--bs"
    typer = (
        "import typer\ndef main(data: str, batch_size: int = 16, "
        "seed: int = typer.Option(1, '--random-seed')): ...\ntyper.run(main)"
    )
    assert batch_flag(flags_of(script(typer))).option == "--batch-size"
    assert seed_flag(flags_of(script(typer))).option == "--random-seed"
    absl = "from absl import flags\nflags.DEFINE_integer('batch_size', 256, 'help')"
    assert batch_flag(flags_of(script(absl))).value == 256
    fire = "import fire\ndef train(rng=3, *, batch=5): ...\nfire.Fire(train)"
    assert values(flags_of(script(fire))) == {"rng": 3, "batch": 5}


def test_fields_of_a_dataclass_count_only_where_a_parser_reads_them(script):
    fields = "@dataclass\nclass A:\n    seed: int = 42\n    bs: int = field(default=3)\n"
    parsed = "from transformers import HfArgumentParser\n" + fields
    assert values(flags_of(script(parsed))) == {"seed": 42, "bs": 3}
    assert flags_of(script(fields)) == ()


def test_words_of_hydra_and_of_a_configurator(script):
    flags = flags_of(script("import hydra"), ["optim.lr=0.1", "+train.seed=3", "data.batch_size=4"])
    assert seed_flag(flags).field == "train.seed" and batch_flag(flags).value == 4
    words = words_with(["optim.lr=0.1", "+train.seed=3"], flags, {"train.seed": 9})
    assert words == ["optim.lr=0.1", "+train.seed=9"]
    nano = "batch_size = 12\nexec(open('configurator.py').read())"
    assert batch_flag(flags_of(script(nano))).words(24) == ["--batch_size=24"]


def test_options_in_a_module_beside_the_script_are_found(script):
    script(ARGPARSE, "options.py")
    assert batch_flag(flags_of(script("from options import p"))).value == 64


def test_sizes_of_other_batches_are_not_the_training_batch(script):
    text = ARGPARSE.replace("--batch-size", "--val-batch-size").replace('"-b", ', "")
    assert batch_flag(flags_of(script(text))) is None


def test_a_script_that_cannot_be_read_has_the_flags_of_its_words(script):
    broken = script("def (")
    assert values(flags_of(broken, ["--lr", "0.1"])) == {"lr": 0.1}
    assert flags_of(broken.with_name("none.py")) == ()
    script("x = " + "(" * 50_000, "deep.py")
    assert flags_of(broken.with_name("deep.py")) == ()


def test_a_field_without_a_flag_is_refused_in_one_line(script):
    with pytest.raises(ValueError, match="the script has no flag for 'seed'"):
        words_with([], flags_of(script("")), {"seed": 1})
