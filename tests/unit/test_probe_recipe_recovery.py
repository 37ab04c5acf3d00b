"""Recipes told from weights alone: every option found, proven or said to be undecided."""

import itertools
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from model_families import FONTS, RESNETS, FontNet, residual
from torch import Tensor, nn

from unstuck import Subject
from unstuck.examine import performed
from unstuck.experiment import NotProbed
from unstuck.lab.families import Family, Search, recovered_shapes, shapes_of
from unstuck.lab.families_checkpoint import (
    UnreadableCheckpointError,
    recovered,
    recovered_from_file,
)
from unstuck.probes.recipe_recovery import recipe_recovery, sentences

RESNET = {"width": 32, "depth": 4, "norm": "group", "kernel": 5, "classes": 100}
FONT = {"levels": 8, "width": 64, "skip": "add", "attention": 5, "heads": 2, "norm": "instance",
        "spectral": False, "kernel": 4, "style": 128, "styles": 40, "dropout": 0.5}  # fmt: skip
FEW = Family("few", residual, {**RESNETS.options, "depth": (2, 4), "norm": ("batch", "group")})


def weights(family: Family, recipe: dict[str, Any]) -> dict[str, Tensor]:
    with torch.device("meta"):
        return dict(family.build(**recipe).state_dict())


def few(**changes: Any) -> dict[str, Tensor]:
    return residual(**{**RESNET, "width": 16, "depth": 2, "kernel": 3, **changes}).state_dict()


def test_every_recipe_of_a_small_family_is_told_by_its_weights() -> None:
    search = Search(FEW)
    for values in itertools.product(*FEW.options.values()):
        recipe = dict(zip(FEW.options, values, strict=True))
        target = shapes_of(FEW, recipe)
        assert target is not None
        found = recovered_shapes(target, search)
        assert found.exact
        assert found.recipe == recipe
        assert not found.undecided


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"skip": "concatenate", "attention": None, "width": 48},
        {"levels": 7, "attention": 2, "heads": 1, "norm": "batch", "kernel": 5, "styles": 1000},
        {"levels": 6, "width": 8, "norm": "group", "spectral": True, "style": 64, "kernel": 3},
    ],
    ids=["added skips", "concatenated", "attention outside", "spectral"],
)
def test_the_options_of_a_font_generator_are_told(changes: dict[str, Any]) -> None:
    """Some 100,000 recipes; instance normalisation with weights and group normalisation alike."""
    recipe = {**FONT, **changes}
    if recipe["attention"] is not None and recipe["attention"] >= recipe["levels"] - 1:
        recipe["attention"] = 3
    found = recovered(weights(FONTS, recipe), FONTS, seconds=300)
    assert found.exact
    assert all(recipe[name] in found.values[name] for name in recipe)
    unseen = {"dropout", "heads"} | ({"norm"} if recipe["norm"] in {"instance", "group"} else set())
    assert {name for name, values in found.values.items() if len(values) > 1} == unseen
    assert set(found.undecided) == unseen - {"norm"}
    assert all(found.proofs[name] for name in recipe if name not in found.undecided)


def test_added_and_concatenated_skips_are_proven_by_the_decoder_s_shapes() -> None:
    found = recovered(weights(FONTS, FONT), FONTS, seconds=300)
    assert found.proofs["skip"] == (
        "body.inner.inner.inner.inner.inner.up.weight (512, 512, 4, 4), but skip='concatenate' "
        "gives (1024, 512, 4, 4)",
    )
    assert "attention" in found.proofs["attention"][0]
    assert found.proofs["styles"][0].startswith("styles.weight (40, 128), but styles=100 gives")


def test_the_nearest_recipe_and_its_differences_are_told_where_none_fits() -> None:
    state = weights(RESNETS, RESNET)
    state["1.9.conv1.weight"] = torch.empty(3, 3, device="meta")
    state["4.weight"] = torch.empty(7, 64, device="meta")
    del state["1.0.conv1.bias"]
    found = recovered(state, RESNETS)
    assert not found.exact
    assert [found.recipe[name] for name in ("width", "depth", "kernel", "classes")] == [
        32,
        4,
        5,
        100,
    ]
    assert found.values["norm"] == ("instance", "group"), "their weights have the same shapes"
    assert set(found.differences) == {
        "1.0.conv1.bias (32,) is missing",
        "1.9.conv1.weight (3, 3) is in no such recipe",
        "4.weight is (7, 64), not (100, 64)",
    }
    said = sentences(found, "residual networks")[0]
    assert said.startswith("No recipe of residual networks gives these weights; the nearest is")


def test_weights_of_another_family_are_not_taken_for_one_of_this() -> None:
    found = recovered(nn.LSTM(4, 4).state_dict(), FEW)
    assert not found.exact
    assert len(found.differences) > 10


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "module._orig_mod.", "netG.", "model.student.net."]
)
def test_prefixes_of_wrappers_do_not_hide_the_weights(prefix: str) -> None:
    state = {prefix + name: tensor for name, tensor in few().items()}
    found = recovered(state, FEW)
    assert found.exact
    assert found.recipe["norm"] == "group"


def test_weights_are_found_in_a_full_checkpoint() -> None:
    net = residual(**{**RESNET, "width": 16, "depth": 2, "norm": "batch", "kernel": 3})
    adam = torch.optim.Adam(net.parameters())
    net(torch.randn(2, 3, 8, 8)).sum().backward()
    adam.step()
    average = torch.optim.swa_utils.AveragedModel(net)
    judge = {f"netD.{name}": tensor for name, tensor in nn.Linear(3, 3).state_dict().items()}
    checkpoint = {
        "epoch": 3, "betas": (0.9, 0.99), "sizes": (30, 60), "optimizer": adam.state_dict(),
        "model": OrderedDict(net.state_dict()), "ema": average.state_dict(), "none": None,
        "judge": judge, 5: {"x": torch.zeros(2)}, "list": [torch.zeros(2)],
    }  # fmt: skip
    found = recovered(checkpoint, FEW)
    assert found.exact
    assert found.part == "model"
    assert "ema.module (the same shapes)" in found.beside
    averaged = recovered({"ema": average.state_dict()}, FEW)
    assert averaged.exact
    assert averaged.beside == ("n_averaged",)
    flat = {f"netG.{n}": t for n, t in net.state_dict().items()} | judge
    assert recovered(flat, FEW).exact
    assert recovered(flat, FEW).part == "netG"


def test_counters_beside_the_weights_are_no_weights_and_other_tensors_are() -> None:
    counted = {**few(), "total_ops": torch.zeros(()), "step": torch.zeros((), dtype=torch.int64)}
    found = recovered(counted, FEW)
    assert found.exact
    assert found.beside == ("total_ops", "step")
    assert not recovered({**few(), "head2.weight": torch.zeros(3, 3)}, FEW).exact


def test_options_that_only_go_together_are_told_with_all_their_values() -> None:
    def build(width: int, times: int, act: str) -> nn.Module:
        if act == "glu" and width == 8:
            raise ValueError("too narrow")
        return nn.Linear(4, width * times)

    family = Family("products", build, {"width": (8, 16), "times": (1, 2), "act": ("relu", "glu")})
    found = recovered(nn.Linear(4, 16).state_dict(), family)
    assert found.exact
    assert found.values["width"] == (8, 16)
    assert found.values["times"] == (1, 2)


def test_a_builder_that_computes_with_its_weights_is_built_for_real() -> None:
    def build(width: int) -> nn.Module:
        net = nn.Linear(3, width)
        net.register_buffer("norm", torch.zeros(int(net.weight.norm().item() * 0) + width))
        return net

    family = Family("computing", build, {"width": (2, 3, 4)})
    assert recovered(build(3).state_dict(), family).recipe == {"width": 3}


def test_searching_draws_no_random_numbers_and_takes_no_memory() -> None:
    before = torch.get_rng_state()
    state = weights(FONTS, {**FONT, "skip": "concatenate"})
    assert all(tensor.is_meta for tensor in state.values())
    assert recovered(state, FONTS, seconds=300).exact
    assert torch.equal(torch.get_rng_state(), before)
    assert sum(t.numel() for t in state.values()) > 40_000_000


def test_a_search_that_is_broken_off_says_so() -> None:
    found = recovered(weights(FONTS, {**FONT, "levels": 6, "attention": 3}), FONTS, seconds=0.0)
    assert not found.exact
    assert not found.complete
    assert "The search was broken off" in " ".join(sentences(found, "fonts"))


def test_files_of_both_kinds_are_read(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    torch.save({"netG": few(), "epoch": 2}, tmp_path / "a.pt")
    torch.save(few(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    save_file({f"module.{n}": t for n, t in few().items()}, tmp_path / "b.safetensors")
    for name in ("a.pt", "old.pth", "b.safetensors"):
        assert recovered_from_file(tmp_path / name, FEW).exact, name


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("executed",))


def test_files_that_are_no_checkpoints_are_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"model": few()}, tmp_path / "cut.pt")
    whole = (tmp_path / "cut.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.pt").write_bytes(b"")
    (tmp_path / "text.pt").write_text("no checkpoint at all")
    (tmp_path / "zip.pt").write_bytes(b"PK\x03\x04" + bytes(range(200)))
    (tmp_path / "bad.safetensors").write_bytes(b"\xff" * 64)
    torch.save(residual(**RESNET), tmp_path / "model.pt")
    torch.save({"x": Evil()}, tmp_path / "evil.pt")
    torch.save(torch.zeros(3), tmp_path / "tensor.pt")
    for path in (*sorted(tmp_path.iterdir()), tmp_path, tmp_path / "absent.pt"):
        with pytest.raises(UnreadableCheckpointError) as error:
            recovered_from_file(path, FEW)
        assert "\n" not in str(error.value)
        assert path.name in str(error.value)
    assert "executed" not in capsys.readouterr().out
    torch.save({"epoch": 3}, tmp_path / "none.pt")
    with pytest.raises(ValueError, match="no tensors"):
        recovered_from_file(tmp_path / "none.pt", FEW)


def test_the_probe_tells_the_options_as_facts() -> None:
    net = residual(**{**RESNET, "width": 16, "depth": 2, "norm": "group", "kernel": 3})
    batch = (torch.randn(2, 3, 8, 8), torch.tensor([0, 1]))
    subject = Subject(net, batch, nn.functional.cross_entropy, family=FEW)
    result = performed(recipe_recovery, subject, seconds=60)
    assert result.facts["recipe_recovery/model/exact"] is True
    assert result.facts["recipe_recovery/model/option/norm"] == "group"
    assert result.said[0] == (
        "The weights are those of few with width=16, depth=2, norm=group, kernel=3, classes=100."
    )
    with pytest.raises(NotProbed, match="no family"):
        performed(recipe_recovery, Subject(net, batch, nn.functional.cross_entropy))


def test_a_family_without_values_is_refused() -> None:
    with pytest.raises(ValueError, match="without a value"):
        Family("none", FontNet, {"width": ()})
    with pytest.raises(ValueError, match="could be built"):
        recovered(few(), Family("broken", lambda width: 1 / 0, {"width": (1, 2)}))
