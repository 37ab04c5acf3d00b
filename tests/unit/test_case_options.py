"""What the programs of a case share: presets, single changes, and one line on bad input."""

import pytest
from pydantic import BaseModel, ConfigDict, Field

from unstuck.case_options import changes_of, made, parser, recipe_of


class Recipe(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    depth: int = Field(default=3, ge=1)
    rate: float = 0.1
    name: str = ""
    skips: bool = False


PRESETS = {"repaired": Recipe(), "sick": Recipe(rate=9.0, name="sick")}


def asked(*words):
    options = parser("some.module", "About.", PRESETS).parse_args(words)
    return recipe_of(options, PRESETS, lambda values: made(Recipe, values))


def test_without_words_it_is_the_repaired_recipe():
    assert asked() == PRESETS["repaired"]


def test_changes_count_more_than_the_preset():
    recipe = asked("--preset", "sick", "--set", "depth=5", "--set", "rate=1e-3")
    assert recipe == Recipe(depth=5, rate=1e-3, name="sick")


def test_more_counts_more_than_changes():
    options = parser("x", "", PRESETS).parse_args(["--set", "depth=5", "--set", "rate=2"])
    recipe = recipe_of(options, PRESETS, lambda v: made(Recipe, v), {"depth": 7})
    assert (recipe.depth, recipe.rate) == (7, 2.0)


def test_values_are_json_truths_of_python_or_text():
    words = ["a=1", "b=true", "c=False", "d=1,2", "e=[1, 2]", "f=x=y", "g="]
    assert changes_of(words) == {
        "a": 1, "b": True, "c": False, "d": "1,2", "e": [1, 2], "f": "x=y", "g": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--preset", "well"], "no preset 'well'; there are: repaired, sick"),
        (["--set", "width=3"], "unknown key 'width'; known keys: depth, rate, name, skips"),
        (["--set", "depth=0"], "depth: Input should be greater than or equal to 1"),
        (["--set", "depth"], "--set needs KEY=VALUE, got 'depth'"),
        (["--set", "=3"], "--set needs KEY=VALUE, got '=3'"),
    ],
)
def test_bad_words_get_one_clear_line(words, message):
    with pytest.raises(ValueError) as raised:
        asked(*words)
    assert str(raised.value) == message


def test_the_help_names_the_presets(capsys):
    with pytest.raises(SystemExit):
        parser("some.module", "About.", PRESETS).parse_args(["--help"])
    said = capsys.readouterr().out
    assert "repaired, sick (default: repaired)" in said and "python -m some.module" in said
