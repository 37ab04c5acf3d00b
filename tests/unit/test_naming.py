"""What people call their series, program by program, and what becomes of it."""

import time
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unstuck.naming import ROLES, is_epoch, is_step, is_wall, named, words_of
from unstuck.vocabulary import meaning_of

PROGRAMS = {
    "keras": {
        "loss": ("loss/loss", "loss"),
        "val_loss": ("metric/val/loss", "validation"),
        "accuracy": ("metric/train/accuracy", "training"),
        "learning_rate": ("lr/all", "learning-rate"),
    },
    "keras in tensorboard": {
        "epoch_loss": ("loss/epoch_loss", "loss"),
        "epoch_learning_rate": ("lr/all", "learning-rate"),
    },
    "transformers": {
        "loss": ("loss/loss", "loss"),
        "eval_loss": ("metric/val/loss", "validation"),
        "grad_norm": ("grad_norm/all", "gradient-norm"),
        "eval_runtime": ("other/runtime", "other"),
        "eval_samples_per_second": ("other/samples_per_second", "other"),
        "total_flos": ("other/total_flos", "other"),
        "train/epoch": ("epoch", "epoch"),
    },
    "torch's dcgan": {
        "Loss_D": ("loss/Loss_D", "discriminator"),
        "Loss_G": ("loss/Loss_G", "generator"),
        "D(x)": ("other/D(x)", "other"),
    },
    "pix2pix": {
        "G_GAN": ("loss/G_GAN", "generator"),
        "D_real": ("loss/D_real", "discriminator"),
        "D_fake": ("loss/D_fake", "discriminator"),
        "time": ("other/time", "other"),
    },
    "cyclegan": {
        "D_A": ("loss/D_A", "discriminator"),
        "G_A": ("loss/G_A", "generator"),
        "cycle_A": ("term/generator/cycle_A", "reconstruction"),
        "idt_A": ("term/generator/idt_A", "reconstruction"),
    },
    "a font gan": {
        "d_loss": ("loss/d_loss", "discriminator"),
        "g_loss": ("loss/g_loss", "generator"),
        "category_loss": ("term/g_loss/category_loss", "term"),
        "cheat_loss": ("term/g_loss/cheat_loss", "adversarial"),
        "const_loss": ("term/g_loss/const_loss", "reconstruction"),
        "l1_loss": ("term/g_loss/l1_loss", "reconstruction"),
    },
    "ultralytics": {
        "train/box_loss": ("loss/box_loss", "loss"),
        "val/box_loss": ("metric/val/box_loss", "validation"),
        "lr/pg0": ("lr/pg0", "learning-rate"),
    },
    "a vae": {
        "loss": ("loss/loss", "loss"),
        "kl_loss": ("term/loss/kl_loss", "regulariser"),
        "recon_loss": ("term/loss/recon_loss", "reconstruction"),
        "avg_loss": ("other/avg_loss", "other"),
    },
    "fairseq": {
        "gnorm": ("grad_norm/all", "gradient-norm"),
        "loss_scale": ("loss_scale/all", "loss-scale"),
        "ppl": ("metric/train/ppl", "training"),
    },
    "reinforcement": {
        "train/policy_gradient_loss": ("term/loss/policy_gradient_loss", "term"),
        "train/entropy_loss": ("term/loss/entropy_loss", "regulariser"),
        "train/loss": ("loss/loss", "loss"),
    },
    "by hand": {
        "trainloss": ("loss/loss", "loss"),
        "Validation Loss": ("metric/val/Loss", "validation"),
        "Test Acc": ("metric/val/Acc", "validation"),
        "dt": ("seconds/step", "step-time"),
    },
    "detectron": {
        "total_loss": ("loss/total_loss", "loss"),
        "loss_box_reg": ("term/total_loss/loss_box_reg", "reconstruction"),
        "fast_rcnn/cls_accuracy": ("metric/train/fast_rcnn_cls_accuracy", "training"),
    },
    "mmdetection": {
        "loss": ("loss/loss", "loss"),
        "loss_rpn_bbox": ("term/loss/loss_rpn_bbox", "reconstruction"),
        "coco/bbox_mAP_50": ("metric/train/coco_bbox_mAP_50", "training"),
        "base_lr": ("lr/base", "learning-rate"),
    },
    "detr": {
        "train_loss": ("loss/loss", "loss"),
        "train_loss_giou": ("term/loss/loss_giou", "term"),
        "test_class_error": ("metric/val/class_error", "validation"),
        "n_parameters": ("other/n_parameters", "other"),
    },
    "yolov5": {"x/lr0": ("lr/x_lr0", "learning-rate")},
    "nnu-net": {
        "train_loss": ("loss/loss", "loss"),
        "val_hd95": ("metric/val/hd95", "validation"),
        "Pseudo_dice": ("metric/train/Pseudo_dice", "training"),
    },
    "stylegan": {
        "Loss/G/loss": ("loss/Loss_G_loss", "generator"),
        "Loss/D/loss": ("loss/Loss_D_loss", "discriminator"),
        "Loss/D/reg": ("term/Loss_G_loss/Loss_D_reg", "regulariser"),
        "Loss/r1_penalty": ("term/Loss_G_loss/Loss_r1_penalty", "regulariser"),
        "Loss/scores/fake": ("other/Loss_scores_fake", "other"),
        "Loss/signs/real": ("other/Loss_signs_real", "other"),
        "Loss/G/loss/num": ("other/Loss_G_loss_num", "other"),
    },
    "vqgan": {
        "train/aeloss": ("loss/aeloss", "generator"),
        "train/discloss": ("loss/discloss", "discriminator"),
        "train/rec_loss": ("term/aeloss/rec_loss", "reconstruction"),
        "train/logits_real": ("metric/train/logits_real", "training"),
        "train/d_weight": ("metric/train/d_weight", "training"),
        "val/rec_loss": ("metric/val/rec_loss", "validation"),
    },
    "super-resolution": {
        "l_g_pix": ("loss/l_g_pix", "generator"),
        "l_g_gan": ("loss/l_g_gan", "generator"),
        "l_d_real": ("loss/l_d_real", "discriminator"),
        "out_d_real": ("other/out_d_real", "other"),
    },
    "glow": {
        "nll": ("loss/nll", "loss"),
        "bpd": ("metric/train/bpd", "training"),
        "log_likelihood": ("other/log_likelihood", "other"),
    },
    "espnet": {
        "train_loss": ("loss/loss", "loss"),
        "train_loss_ctc": ("term/loss/loss_ctc", "term"),
        "train_optim0_lr0": ("lr/optim0_lr0", "learning-rate"),
        "valid_cer_ctc": ("metric/val/cer_ctc", "validation"),
    },
    "soft actor-critic": {
        "rollout/ep_rew_mean": ("metric/train/rollout_ep_rew_mean", "training"),
        "train/actor_loss": ("loss/actor_loss", "loss"),
        "train/ent_coef": ("metric/train/ent_coef", "training"),
    },
    "deep q": {
        "rollout/ep_rew_mean": ("metric/train/rollout_ep_rew_mean", "training"),
        "train/loss": ("term/loss/loss", "term"),
    },
    "cleanrl": {
        "losses/value_loss": ("loss/losses_value_loss", "loss"),
        "losses/entropy": ("term/loss/losses_entropy", "regulariser"),
        "losses/explained_variance": ("other/losses_explained_variance", "other"),
        "losses/q_values": ("other/losses_q_values", "other"),
        "losses/clipfrac": ("other/losses_clipfrac", "other"),
    },
    "preferences": {
        "loss": ("loss/loss", "loss"),
        "rewards/chosen": ("metric/train/rewards_chosen", "training"),
        "logps/chosen": ("other/logps_chosen", "other"),
        "eval_rewards/margins": ("metric/val/rewards_margins", "validation"),
    },
    "boosting": {
        "train-mlogloss": ("loss/mlogloss", "loss"),
        "validation_0-mlogloss": ("metric/val/mlogloss", "validation"),
    },
    "boosted regression": {
        "train-rmse": ("loss/rmse", "loss"),
        "test-rmse": ("metric/val/rmse", "validation"),
    },
    "lightgbm": {
        "training's binary_logloss": ("loss/binary_logloss", "loss"),
        "valid_0's binary_logloss": ("metric/val/binary_logloss", "validation"),
    },
    "keras with two outputs": {
        "loss": ("loss/loss", "loss"),
        "out1_loss": ("term/loss/out1_loss", "term"),
        "val_out1_loss": ("metric/val/out1_loss", "validation"),
    },
    "torchmetrics": {
        "val_MulticlassAccuracy": ("metric/val/MulticlassAccuracy", "validation"),
        "train_MulticlassF1Score": ("metric/train/MulticlassF1Score", "training"),
    },
    "lightning in tensorboard": {
        "train_loss_step": ("loss/loss_step", "loss"),
        "train_loss_epoch": ("other/loss_epoch", "other"),
    },
    "in chinese": {
        "训练损失": ("loss/损失", "loss"),
        "验证集准确率": ("metric/val/准确率", "validation"),
        "学习率": ("lr/学习率", "learning-rate"),
    },
    "cross entropy": {
        "cross_entropy": ("loss/cross_entropy", "loss"),
        "loss_weight": ("other/loss_weight", "other"),
    },
    "errors of a game": {
        "errD": ("loss/errD", "discriminator"),
        "errG": ("loss/errG", "generator"),
    },
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_names_of_real_programs(program):
    told = PROGRAMS[program]
    assert {raw: (n.name, n.role) for raw, n in named(told).items()} == told


def test_a_regulariser_without_a_total_is_no_loss_that_must_fall():
    assert named(["kl_loss", "ce_loss"])["kl_loss"].name == "term/loss/kl_loss"


def test_an_objective_that_may_be_meant_to_rise_is_not_taken_for_a_loss():
    assert {n.role for n in named(["elbo", "objective"]).values()} == {"other"}


RISING = [
    *("train/logits_real", "rewards/margins", "losses/explained_variance", "losses/q_values"),
    *("Loss/scores/real", "elbo", "log_likelihood", "loss_weight", "episode_return", "win_rate"),
    *("D_accuracy", "out_d_real", "D_x", "entropy", "mutual_information", "inception_score"),
]


@pytest.mark.parametrize("beside", [[], ["loss"], ["d_loss", "g_loss"], ["G_GAN", "D_fake"]])
def test_nothing_that_is_meant_to_rise_is_taken_for_a_loss(beside):
    found = named([*beside, *RISING])
    assert not [raw for raw in RISING if found[raw].name.startswith("loss/")]


def test_the_loss_of_an_agent_is_not_expected_to_fall():
    assert named(["loss", "mean_reward"])["loss"].role == "term"
    assert named(["loss", "rewards/chosen", "rewards/rejected"])["loss"].role == "loss"


def test_two_names_for_one_thing_keep_two_series():
    names = [n.name for n in named(["val_acc", "test_acc", "val/acc", "eval.acc"]).values()]
    assert len(set(names)) == 4 and names[0] == "metric/val/acc"


def test_very_many_names_that_say_nothing_are_told_apart_at_once():
    raws = ["".join(letters) for letters in product("/ \t", repeat=9)]
    began = time.perf_counter()
    assert len({n.name for n in named(raws).values()}) == len(raws) == 19_683
    assert time.perf_counter() - began < 5  # the limit for a hostile log


def test_what_is_said_counts_more_than_words():
    said = named(["score", "loss"], {"score": "validation"})["score"]
    assert (said.name, said.role) == ("metric/val/score", "validation")
    assert named(["my_d", "my_g"], {"my_d": "discriminator"})["my_d"].name == "loss/my_d"


@pytest.mark.parametrize("raw", ["step", "global_step", "Iteration", "trainer/global_step", "it"])
def test_columns_that_number_steps(raw):
    assert is_step(raw) and not is_epoch(raw)


def test_columns_of_epochs_and_of_time():
    assert is_epoch("Epoch") and is_epoch("trainer/epoch") and not is_step("epoch")
    assert is_wall("Wall time") and is_wall("_timestamp") and not is_wall("time")


def test_words_are_taken_apart_at_case_and_at_what_is_glued():
    assert words_of("metrics/mAP50-95(B)") == ("metrics", "map50", "95", "b")
    assert words_of("valLoss") == ("val", "loss") == words_of("valloss")


@given(st.lists(st.text(max_size=40), max_size=12))
def test_any_names_become_distinct_names_of_the_glossary(raws):
    found = named(raws)
    names = [n.name for n in found.values()]
    assert set(found) == set(raws) and len(set(names)) == len(names)
    assert all(meaning_of(n.name) and n.role in ROLES for n in found.values())
