"""Logs as launchers, containers, consoles and other countries print them."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unstuck.load import load, load_all
from unstuck.reading.boxes import unboxed
from unstuck.reading.decimals import comma_of
from unstuck.reading.ranks import of_one_rank
from unstuck.reading.text import decoded
from unstuck.source import UnreadableRunError
from unstuck.sources.text_log import text_log

LOSSES = [round(2.3 * 0.91**i, 4) for i in range(12)]


def written(tmp_path, text, encoding="utf-8", name="train.log"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return path


def read(tmp_path, lines, encoding="utf-8"):
    """The run in lines; each is made from its number and loss."""
    text = lines if isinstance(lines, str) else "".join(f"{line}\n" for line in lines)
    return load(written(tmp_path, text, encoding))


def check_loss(run, name="loss/loss", first=0, unit=None):
    loss = run.series[name]
    assert loss.step.tolist() == list(range(first, first + 12))
    assert loss.value.tolist() == pytest.approx(LOSSES)
    assert unit is None or run.facts["step/unit"] == unit


def comma(number, digits=4):
    return f"{number:.{digits}f}".replace(".", ",")


# Decimal commas ------------------------------------------------------------------------


@pytest.mark.parametrize("line", [
    "Epoch {i}: loss: {loss}", "epoch {i} loss={loss}, lr={rate}",
    "Epoche {i} loss {loss} ({loss})",
    "05.01.2026 10:00:00,123 epoch {i} loss: {loss}; acc: {rate}.",
])  # fmt: skip
def test_decimal_commas(tmp_path, line):
    run = read(tmp_path, [line.format(i=i, loss=comma(x), rate="0,001")
                          for i, x in enumerate(LOSSES)])  # fmt: skip
    check_loss(run, unit="epoch")
    assert all(s.value.max() < 3 for s in run.series.values())


def test_three_decimals_behind_a_comma_are_told_by_the_other_numbers(tmp_path):
    run = read(
        tmp_path, [f"epoch {i} loss: {comma(x + 1, 3)} lr: 0,5" for i, x in enumerate(LOSSES)]
    )
    assert run.series["loss/loss"].value.tolist() == pytest.approx(
        [x + 1 for x in LOSSES], abs=1e-3
    )


def test_three_decimals_or_thousands_nobody_knows_is_left_out(tmp_path):
    run = read(
        tmp_path, [f"epoch {i} loss: {comma(x + 1, 3)} acc: 9{i}" for i, x in enumerate(LOSSES)]
    )
    assert set(run.series) == {"metric/train/acc"}
    with pytest.raises(UnreadableRunError):
        read(tmp_path, [f"epoch {i} loss: {comma(x + 1, 3)}" for i, x in enumerate(LOSSES)])


def test_thousands_stay_thousands(tmp_path):
    run = read(tmp_path, [f"step {500 * i:,} loss: {1e3 * x:,.1f} tokens {1000 * i + 1000:,} lr 0.1"
                          for i, x in enumerate(LOSSES)])  # fmt: skip
    assert run.series["loss/loss"].step.tolist() == list(range(0, 6000, 500))
    assert run.series["loss/loss"].value.tolist() == pytest.approx([1e3 * x for x in LOSSES])
    assert run.series["other/tokens"].value.tolist() == [1000 * i + 1000 for i in range(12)]


def test_steps_with_thousands_beside_whole_losses(tmp_path):
    run = read(tmp_path, [f"step {500 * i + 500:,} loss: {12 - i}" for i in range(12)])
    assert run.series["loss/loss"].step.tolist() == list(range(500, 6001, 500))


def test_lists_are_no_decimals(tmp_path):
    run = read(tmp_path, [f"epoch {i} loss: {x} acc: 0.1, 0.2 top: 0.3,0.4 sizes: 1,2,3"
                          for i, x in enumerate(LOSSES)])  # fmt: skip
    check_loss(run)
    assert run.series["metric/train/acc"].value.tolist() == [0.1] * 12
    assert not any("sizes" in name for name in run.series)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.floats(0, 9999, allow_nan=False), min_size=1, max_size=9), st.integers(1, 5))
def test_numbers_written_with_commas_are_never_read_as_others(numbers, digits):
    decimal = [comma(x, digits) for x in numbers]
    grouped = [f"{x:,.{digits}f}" for x in numbers]
    assert comma_of(decimal) in ("decimal", "open")
    assert comma_of(grouped) in ("thousands", None)
    assert digits == 3 or comma_of(decimal) == "decimal"


def test_long_lists_of_whole_numbers_take_no_time(tmp_path):
    lines = [f"step {i} loss {x} of {'1,' * 1_900}1.5" for i, x in enumerate(LOSSES)] * 100
    began = time.perf_counter()
    load_all(written(tmp_path, "\n".join(lines) + "\n"))
    assert time.perf_counter() - began < 8  # of 4.6 MB; takes about 1


# Several processes ---------------------------------------------------------------------

PREFIXES = {
    "srun -l": "{r}: ",
    "torch": "[rank{r}]: ",
    "torchelastic": "[default{r}]:[rank{r}]:",
    "lightning": "[rank: {r}] ",
    "mpirun": "[1,{r}]<stdout>: ",
    "mpirun, glued": "[1,{r}]<stdout>:",
    "ray": "(RayTrainWorker pid=12{r}, ip=10.0.0.{r}) ",
    "ray, short": "(pid=12{r}) ",
    "kubernetes": "2026-01-05T10:00:00.123456789Z stdout F [rank{r}]: ",
}


@pytest.mark.parametrize("prefix", PREFIXES.values(), ids=PREFIXES)
@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_of_several_ranks_the_first_is_read(tmp_path, prefix, ranks):
    lines = [f"{prefix.format(r=r)}step {i} loss {x + r:.4f}"
             for i, x in enumerate(LOSSES) for r in range(ranks)]  # fmt: skip
    run = read(tmp_path, ["Starting the training of 3 networks", *lines])
    check_loss(run, unit="step")
    left_out = f"lines of other ranks were left out: {ranks - 1} of {ranks} ranks"
    assert run.facts.get("source/remark", "") == (left_out if ranks > 1 else "")


def test_ranks_without_a_counter(tmp_path):
    run = read(tmp_path, [f"{r}: loss {x + r}" for x in LOSSES for r in range(4)])
    assert run.series["loss/loss"].value.tolist() == pytest.approx(LOSSES)


def test_the_rank_that_prints_the_losses_is_read(tmp_path):
    lines = [f"0: the network has {n} layers" for n in (3, 4)]
    run = read(tmp_path, lines + [f"{r}: step {i} loss {x + r - 2}" for i, x in enumerate(LOSSES)
                                  for r in (2, 3)])  # fmt: skip
    check_loss(run)


@pytest.mark.parametrize("lines", [
    [f"{i}: loss {x}" for i, x in enumerate(LOSSES)],
    [f"{i}: loss {x}" for i, x in enumerate(LOSSES)] * 3,
    [f"[{i}] loss {x}" for i, x in enumerate(LOSSES)],
    [f"{i}: step {i} loss {x}" for i, x in enumerate(LOSSES)],
    [f"{i}:\tlearn: {x}\ttest: {x}\tbest: {x} ({i})" for i, x in enumerate(LOSSES)] * 3,
    [f"Rank-1: {x} Rank-5: {x}" for x in LOSSES],
    [f"{epoch}: step {i} loss {x}" for epoch in range(4) for i, x in enumerate(LOSSES)] * 4,
    [f"{epoch}: step {i} loss 0.5" for epoch in range(9) for i in (5, 10)] * 4,
], ids=["rounds", "three folds", "brackets", "steps", "two columns", "retrieval", "starts", "short"]
)  # fmt: skip
def test_what_counts_by_itself_is_no_rank(lines):
    assert of_one_rank(lines) == (lines, 0)


# Containers, terminals, programs -------------------------------------------------------


@pytest.mark.parametrize("end", ["\x1b[?25h", "\x1b[0m", "\x1b[?25h\x1b[0m\x1b[2K", ""])
def test_the_last_whole_line_before_a_control_sequence_counts(tmp_path, end):
    run = read(tmp_path, "".join(f"step {i} loss {x}\n" for i, x in enumerate(LOSSES)) + end)
    check_loss(run)
    assert "source/remark" not in run.facts


def test_lines_of_a_container(tmp_path):
    check_loss(read(tmp_path, [f"2026-01-05T10:00:{i:02d}.123456789Z stdout F step {i} loss: {x}"
                               for i, x in enumerate(LOSSES)]), unit="step")  # fmt: skip


@pytest.mark.parametrize("rule", ["-" * 33, "+" + "-" * 20 + "+" + "-" * 10 + "+"])
def test_boxes_of_names_and_values_are_one_reading_each(tmp_path, rule):
    text = ""
    for i, x in enumerate(LOSSES):
        said = f"| train/   |   |\n|    loss | {x} |\n|    learning_rate | 0.1 |\n" if i else ""
        text += f"{rule}\n| rollout/ |   |\n|    ep_rew_mean | {20 + i} |\n| time/ | |\n"
        text += f"|    total_timesteps | {256 * i + 256} |\n{said}{rule}\n"
    run = read(tmp_path, text)
    assert run.series["metric/train/rollout_ep_rew_mean"].value.tolist() == list(range(20, 32))
    assert run.series["metric/train/rollout_ep_rew_mean"].step.tolist() == list(
        range(256, 3073, 256)
    )
    assert run.series["term/loss/loss"].step.tolist() == list(range(512, 3073, 256))
    assert run.series["term/loss/loss"].value.tolist() == LOSSES[1:]
    assert len(run.series["lr/all"]) == 11


def test_a_box_that_was_cut_off_before_its_step_is_left_out(tmp_path):
    box = "-" * 20 + "\n|    loss | {x} |\n| total_timesteps | {i} |\n" + "-" * 20 + "\n"
    text = "".join(box.format(i=i, x=x) for i, x in enumerate(LOSSES))
    check_loss(read(tmp_path, text + "-" * 20 + "\n|    loss | 99 |\n"))
    table = ["-" * 20, "| epoch | loss |", "-" * 20, "| 1 | 0.5 |", "| 2 | 0.4 |", "-" * 20]
    assert unboxed(table) == [line for line in table if "|" in line]


def test_rows_below_a_header_with_a_bar_behind_them(tmp_path):
    text = ""
    for i, x in enumerate(LOSSES):
        text += "\n      Epoch    GPU_mem   box_loss   cls_loss  Instances       Size\n"
        for batch in (4, 8):
            text += (
                f"\r      {i + 1}/12      2.31G      {x}      {2 * x:.4f}         12        640:"
            )
            text += f" {100 * batch // 8}%|█████| {batch}/8 [00:02<00:00,  3.1it/s]"
        text += (
            "\n                 Class     Images      mAP50: 100%|██| 1/1 [00:00<00:00,  2.2it/s]"
        )
        text += "\n                   all         10      0.5\n"
    run = read(tmp_path, text)
    assert run.series["loss/box_loss"].step.tolist() == list(range(4, 97, 4))
    assert run.series["loss/box_loss"].value[1::2].tolist() == LOSSES
    assert run.series["loss/cls_loss"].value[1::2].tolist() == pytest.approx(
        [2 * x for x in LOSSES], abs=1e-4
    )


def test_rounds_with_a_learn_and_a_test_column(tmp_path):
    run = read(tmp_path, [f"{i}:\tlearn: {x}\ttest: {x + 1}\tbest: {x + 1} ({i})\ttotal: {i + 1}ms"
                          f"\tremaining: {12 - i}s" for i, x in enumerate(LOSSES)])  # fmt: skip
    check_loss(run, "metric/train/learn", unit="step")
    assert run.series["metric/val/test"].value.tolist() == pytest.approx([x + 1 for x in LOSSES])
    assert {n for n, role in run.roles.items() if role == "validation"} == {"metric/val/test"}


def test_accuracies_named_by_their_split_alone(tmp_path):
    run = read(tmp_path, [f"Epoch: {i:03d}, Loss: {x}, Train: 0.{50 + i}, Val: 0.{40 + i}"
                          for i, x in enumerate(LOSSES)])  # fmt: skip
    check_loss(run, "loss/Loss", unit="epoch")
    assert run.series["metric/val/Val"].value == pytest.approx([0.4 + i / 100 for i in range(12)])


def test_numbers_of_bad_iterations_count_nothing(tmp_path):
    run = read(
        tmp_path,
        [
            f" iteration {i:8d}/ 300 | lm loss: {x:.6E} | number of skipped iterations:"
            f"   0 | number of nan iterations:   0 |"
            for i, x in enumerate(LOSSES)
        ],
    )
    check_loss(run, "loss/lm_loss", unit="step")
    assert not any(np.isnan(s.value).any() for s in run.series.values())
    assert "epoch" not in run.series


def test_a_loss_of_nan_is_a_reading(tmp_path):
    run = read(tmp_path, [f"epoch {i} ended with mean loss {'nan' if i > 9 else x} in 3s"
                          for i, x in enumerate(LOSSES)])  # fmt: skip
    assert np.isnan(run.series["loss/mean_loss"].value).tolist() == [False] * 10 + [True] * 2


@pytest.mark.parametrize("line", [
    "第{i}轮 loss: {x}", "第 {i} 轮训练 loss: {x}", "第{i}/12轮\uff0closs\uff1a{x}",
    "epoch {i} => loss -> {x}",
    "epoch {i} | loss → {x}", "第{i}個epoch loss {x}", "Époque {i} : loss = {x}",
])  # fmt: skip
def test_counters_in_chinese_and_arrows(tmp_path, line):
    check_loss(read(tmp_path, [line.format(i=i, x=x) for i, x in enumerate(LOSSES)]), unit="epoch")


def test_a_step_in_chinese(tmp_path):
    check_loss(read(tmp_path, [f"第{i}步 loss={x}" for i, x in enumerate(LOSSES)]), unit="step")


def test_a_markdown_table(tmp_path):
    rows = [f"| {i} | {x} | {x + 1} |" for i, x in enumerate(LOSSES)]
    run = read(tmp_path, ["| epoch | train loss | val loss |", "|---|---|---|", *rows])
    check_loss(run, unit="epoch")
    assert run.series["metric/val/loss"].value.tolist() == pytest.approx([x + 1 for x in LOSSES])


# Encodings -----------------------------------------------------------------------------


@pytest.mark.parametrize(("encoding", "words"), [
    ("cp1252", "durée"), ("cp1252", "perte d\u2019entraînement"), ("cp1252", "größer"),
    ("big5", "訓練損失"),
    ("big5", "開始訓練:驗證準確率"), ("gbk", "训练损失"), ("gbk", "开始训练:第3轮,学习率"),
    ("gbk", "━━━━"), ("utf-8", "损失 ✓ durée"),
])  # fmt: skip
def test_words_are_read_as_they_were_written(encoding, words):
    text = "".join(f"epoch {i} {words}: {i}.5 s\n" for i in range(12))
    assert decoded(text.encode(encoding)) == text


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1"])
def test_numbers_behind_accents_are_whole(tmp_path, encoding):
    run = read(tmp_path, [f"époque {i} n°{i}5 loss {x}" for i, x in enumerate(LOSSES)], encoding)
    check_loss(run, unit="epoch")


def test_a_broken_byte_does_not_change_the_encoding():
    text = "".join(f"epoch {i} ━━━━ 损失: {i}.5\n" for i in range(12)).encode()
    assert decoded(text + b"\xff\xfe\n" + text).count("损失") == 24


def test_prose_with_a_box_of_results_is_no_log(tmp_path):
    edge = "+----------+-----+\n"
    box = f"{edge}| accuracy | 0.9 |\n| loss     | 0.3 |\n{edge}"
    text = "We trained it on the pictures of a dog and then we went home for dinner.\n" * 5
    assert not text_log.knows(written(tmp_path, text + box))
