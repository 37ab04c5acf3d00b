"""The glossary: what every series and fact is called, its unit, what it means, who writes it.

Names are `<what>/<where>[/<which>]`, the same whether watched or read from a log. A reading is
numbered by the training step it was taken in, counted from 0.
"""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from unstuck.words import ERROR, LOSS, words_of


@dataclass(frozen=True, slots=True)
class Entry:
    """One kind of series or fact: a shell pattern of names, its unit and its meaning."""

    pattern: str
    unit: str
    meaning: str
    written_by: str


SERIES = (
    Entry(
        "loss/*",
        "the loss's own",
        "training loss: the value a backward pass started from, named after the expression in the "
        "script; the mean over the micro-batches of one step",
        "watch, every step; logs",
    ),
    Entry(
        "term/*/*",
        "the loss's own",
        "value of one term of a loss, before its weight: term/<loss>/<term>",
        "watch, sampled; logs",
    ),
    Entry(
        "weight/*/*",
        "1",
        "derivative of the loss with respect to the term: weight/<loss>/<term>",
        "watch, sampled",
    ),
    Entry(
        "share/*/*",
        "1",
        "|weight x term| over its sum for all terms of the loss: share/<loss>/<term>",
        "watch, sampled",
    ),
    Entry(
        "gradient_share/*/*",
        "1",
        "norm of the term's weighted gradient on the trained parameters over the sum of these "
        "norms for all terms of the loss",
        "watch, sampled sparsely",
    ),
    Entry(
        "gradient_cosine/*/*",
        "1",
        "cosine between the gradients of two terms: gradient_cosine/<loss>/<term>:<term>",
        "watch, sampled sparsely",
    ),
    Entry(
        "metric/*/*",
        "the metric's own",
        "metric/<split>/<name>, split train or val: reported with unstuck.log, or a loss "
        "function evaluated without gradient while a model is in evaluation mode (averaged over "
        "the pass)",
        "watch; unstuck.log; logs",
    ),
    Entry("lr/*", "1", "learning rate: lr/<optimizer>[/<group>]", "watch, when it changes; logs"),
    Entry(
        "grad_norm/*",
        "1",
        "L2 norm of the gradients just before the optimizer's step: of all its parameters "
        "(grad_norm/<optimizer>) or of one layer (grad_norm/<optimizer>/<model>.<layer>)",
        "watch, sampled; logs",
    ),
    Entry(
        "update_ratio/*",
        "1",
        "L2 norm of the change of the weights in one step over that of the weights; total or by "
        "layer as for grad_norm",
        "watch, sampled",
    ),
    Entry(
        "gradient_agreement/*",
        "1",
        "cosine between the gradients of two steps in a row: gradient_agreement/<optimizer>; "
        "the signal's share of a gradient's square, below 0 where steps go back and forth",
        "watch, sampled",
    ),
    Entry(
        "noise_floor/*",
        "the loss's own",
        "how much higher the loss is for the noise of the gradient, if all of it is noise: a "
        "quarter of gradient times the movement it causes: noise_floor/<optimizer>",
        "watch, sampled",
    ),
    Entry(
        "weight_norm/*",
        "1",
        "L2 norm of the weights that have a gradient; total or by layer as for grad_norm",
        "watch, sampled",
    ),
    Entry("weight_decay/*", "1", "weight decay, the largest of the optimizer's groups", "watch"),
    Entry(
        "history/*",
        "1",
        "backward passes of this loss that its graph reaches back beyond: history/<loss>; what was "
        "made between two of them counts once",
        "watch, sampled",
    ),
    Entry(
        "recurrence/*/gradient_ratio",
        "1",
        "gradient at the first eighth of the time steps over that at the last eighth: of a "
        "recurrent layer's last state on its inputs, or on the outputs of a module that is called "
        "again and again in one step: recurrence/<model>.<layer>/gradient_ratio",
        "watch, sampled",
    ),
    Entry(
        "gradient_reach/*",
        "1",
        "share of the optimizer's trainable parameter tensors with a gradient that is not all "
        "zero: gradient_reach/<optimizer>",
        "watch, sampled",
    ),
    Entry(
        "carried_gradient/*",
        "1",
        "norm of the gradients left from before the optimizer's last step, at the least that was "
        "found before a backward pass, over their norm at its next step: carried_gradient/"
        "<optimizer>",
        "watch, sampled",
    ),
    Entry(
        "discarded_gradient/*",
        "1",
        "share of the backward passes between two steps whose gradients were cleared before the "
        "step, of the losses that optimizer follows: discarded_gradient/<optimizer>",
        "watch, sampled",
    ),
    Entry(
        "accumulated_passes/*",
        "1",
        "backward passes of one loss whose gradients an optimizer's step sums: "
        "accumulated_passes/<optimizer>",
        "watch, sampled",
    ),
    Entry(
        "rescaled_gradient/*",
        "1",
        "norm of the gradients at the optimizer's step over what the last backward pass left: 1 "
        "unless they are clipped, unscaled or divided in between: rescaled_gradient/<optimizer>",
        "watch, sampled",
    ),
    Entry(
        "mean_weight/*",
        "1",
        "derivative of what one backward pass starts from with respect to the mean losses in it, "
        "summed: mean_weight/<loss>; 1/k where a loss is divided by k micro-batches",
        "watch, sampled",
    ),
    Entry(
        "contribution/*",
        "1",
        "standard deviation of what a branch adds to a sum over that of the sum: "
        "contribution/<model>.<layer>",
        "watch, sampled sparsely",
    ),
    Entry(
        "cut_off/*",
        "1",
        "share of the optimizer's trainable parameter tensors whose layers ran in front of a place "
        "where the graph was cut, and got no gradient: cut_off/<optimizer>",
        "watch, sampled",
    ),
    Entry(
        "orphaned/*",
        "1",
        "share of the model's parameters that got a gradient and belong to no optimizer seen so "
        "far: orphaned/<model>",
        "watch, sampled",
    ),
    Entry(
        "activation/*/mean",
        "1",
        "mean of the layer's output: activation/<model>.<layer>/mean; activation/<model>.input "
        "is what the model is fed",
        "watch, sampled",
    ),
    Entry(
        "mode/*/evaluation",
        "1",
        "1 where the model trains while all of it is in evaluation mode, else 0; only of models "
        "with dropout or running statistics: mode/<model>/evaluation",
        "watch, sampled",
    ),
    Entry(
        "mode/*/frozen",
        "1",
        "share of a model's trained batch normalisations that are in training mode with a momentum "
        "of 0: their running statistics never change",
        "watch, sampled",
    ),
    Entry(
        "mode/validation/training",
        "1",
        "share of the stretches without gradients since the last reading in which a model to which "
        "it matters was judged (a loss, a largest score) in training mode",
        "watch",
    ),
    Entry(
        "normalisation/*/gap",
        "1",
        "how far a batch's statistics lie from the running ones, root mean square over the channels"
        ": shift of the mean in running standard deviations and logarithm of the ratio of the "
        "standard deviations; about sqrt(1.5 / n) for n independent numbers: "
        "normalisation/<model>.<layer>/gap",
        "watch, sampled",
    ),
    Entry("normalisation/*/samples", "1", "samples in the batch it normalises", "watch, sampled"),
    Entry(
        "normalisation/*/numbers",
        "1",
        "numbers each channel's statistics are taken of: samples times positions",
        "watch, sampled",
    ),
    Entry("activation/*/std", "1", "standard deviation of the layer's output", "watch, sampled"),
    Entry(
        "activation/*/dead_fraction",
        "1",
        "share of the units of a layer with weights whose incoming gradient is exactly zero for "
        "the whole batch: they neither fire nor learn",
        "watch, sampled",
    ),
    Entry(
        "prediction/*/probability",
        "1",
        "share of the rows handed to a classification loss that are probabilities (none below "
        "zero, sum one); for binary_cross_entropy_with_logits, of the numbers within 0..1: "
        "prediction/<function>[.<place>]/probability, numbered by the place in the script",
        "watch, sampled",
    ),
    Entry(
        "prediction/*/log_mass",
        "1",
        "mean of |log of the sum of exp(row)| of what nll_loss or kl_div is handed: 0 for log-"
        "probabilities",
        "watch, sampled",
    ),
    Entry(
        "prediction/*/said",
        "1",
        "share of the latest predictions that name the commonest class",
        "watch, sampled",
    ),
    Entry(
        "prediction/*/recall",
        "1",
        "share of the latest samples of other classes than the commonest that are named rightly",
        "watch, sampled",
    ),
    Entry(
        "prediction/*/separation",
        "1",
        "how far the log-odds against the commonest class of the other samples lie above those of "
        "its own, in standard deviations",
        "watch, sampled",
    ),
    Entry(
        "target/*/majority",
        "1",
        "share of the commonest class among the labels seen so far: target/<function>[.<place>]/"
        "majority",
        "watch, sampled",
    ),
    Entry(
        "target/*/alike",
        "1",
        "chance that two labels of one step's batches are equal",
        "watch, sampled",
    ),
    Entry(
        "target/*/alike_overall",
        "1",
        "chance that two labels of all batches read so far are equal",
        "watch, sampled",
    ),
    Entry(
        "unreachable/*",
        "1",
        "squared distance of the targets from what the output's last activation can give, over "
        "their squared distance from their mean (from 0.5, for labels): "
        "unreachable/<function>[.<place>]",
        "watch, sampled",
    ),
    Entry(
        "broadcast/*",
        "1",
        "numbers compared in a loss over those of its larger side, where the shapes of prediction "
        "and target differ: broadcast/<function>[.<place>] or broadcast/<loss>",
        "watch, sampled",
    ),
    Entry(
        "input/*/nonzero",
        "1",
        "share of the numbers a model is fed that are not zero: input/<model>/nonzero",
        "watch, sampled",
    ),
    Entry(
        "input/*/first_spread",
        "1",
        "standard deviation over the batch of the outputs of the model's first layer with weights",
        "watch, sampled",
    ),
    Entry(
        "generated/*/spread",
        "1",
        "standard deviation over the batch, at fixed position, of what another network makes for "
        "this one: generated/<judge>/spread; or of what unstuck's run.generated was told",
        "watch, sampled",
    ),
    Entry(
        "generated/*/nearest",
        "1",
        "median distance of a made sample to the nearest other one of the batch, root mean square "
        "per number",
        "watch, sampled",
    ),
    Entry(
        "generated/*/rms",
        "1",
        "root mean square of the samples run.generated was told",
        "watch, sampled",
    ),
    Entry(
        "real/*/spread",
        "1",
        "the same of the samples the judge is shown that no network of the step made; the widest "
        "of their batches",
        "watch, sampled",
    ),
    Entry("real/*/nearest", "1", "as generated/*/nearest, of these samples", "watch, sampled"),
    Entry(
        "leak/*/same",
        "1",
        "share of the target tokens equal to the token fed in at their place: leak/<model>/same",
        "watch, sampled",
    ),
    Entry(
        "leak/*/next",
        "1",
        "share of the target tokens equal to the next token fed in",
        "watch, sampled",
    ),
    Entry(
        "leak/*/future",
        "1",
        "share of the squared gradient of the first half's predictions on the embedded tokens "
        "that falls on the second half: 0 where no place sees what follows",
        "watch, in three steps of a run",
    ),
    Entry(
        "activation/*/saturated_fraction",
        "1",
        "share of a hidden sigmoid's or tanh's outputs within a hundredth of its range from an "
        "end, where its slope is below 4 % of the steepest; of a function that is no module, under "
        "the name of the layer that is fed with it",
        "watch, sampled",
    ),
    Entry(
        "latent/*/batch_std",
        "1",
        "standard deviation over the batch at fixed position, averaged over positions: "
        "latent/<model>.<module>/batch_std; a constant code scores 0 however it varies in space",
        "watch, sampled",
    ),
    Entry(
        "latent/*/rms",
        "1",
        "root mean square of the latent",
        "watch, sampled",
    ),
    Entry(
        "latent/*/pull/*",
        "1",
        "cosine between a term's gradient on the latent and the latent's deviation from its "
        "batch mean: latent/<model>.<module>/pull/<loss>:<term>; positive where descending the "
        "term shrinks the spread",
        "watch, sampled sparsely",
    ),
    Entry(
        "latent/*/effective_rank",
        "directions",
        "directions a told embedding varies in: (sum of the eigenvalues of its covariance)^2 over "
        "the sum of their squares",
        "watch, sampled: run.embedding",
    ),
    Entry(
        "latent/*/uniformity",
        "1",
        "log of the mean Gaussian potential of pairs of a told embedding on the unit sphere: 0 "
        "where all are one point",
        "watch, sampled: run.embedding",
    ),
    Entry(
        "codes/*/unique",
        "1",
        "share of the samples whose binary code no earlier one of the batch has",
        "watch, sampled: run.embedding, modules named after hashing",
    ),
    Entry(
        "codes/*/similarity",
        "1",
        "mean cosine between the signs of different samples' codes",
        "watch, sampled: run.embedding, modules named after hashing",
    ),
    Entry(
        "codes/*/constant",
        "1",
        "share of the bits that have one sign for 95 % of the batch",
        "watch, sampled: run.embedding, modules named after hashing",
    ),
    Entry(
        "codes/*/gap",
        "1",
        "mean distance of the codes' entries from +-1",
        "watch, sampled: run.embedding, modules named after hashing",
    ),
    Entry(
        "codes/*/largest",
        "1",
        "largest size of any entry of the codes",
        "watch, sampled: run.embedding, modules named after hashing",
    ),
    Entry(
        "pair/*/agreement",
        "1",
        "share of the other samples less like a sample than its partner in the other modality is: "
        "pair/<first>:<second>/agreement; 0.5 is chance",
        "watch, sampled: run.pair",
    ),
    Entry("pair/*/paired", "1", "mean cosine of partners", "watch, sampled: run.pair"),
    Entry("pair/*/unpaired", "1", "mean cosine of others", "watch, sampled: run.pair"),
    Entry(
        "target_similarity/*/*",
        "1",
        "of a matrix of similarity targets without its diagonal: mean, low (5 % lie below), high "
        "(5 % above); met is the mean cosine of the codes told in the same step, correlation that "
        "of their cosines with the targets",
        "watch, sampled: run.targets",
    ),
    Entry(
        "pool/*/*",
        "the loss's own",
        "losses of a pool of samples: median, best (the tenth below which one in ten lies), worst "
        "(mean of the worst tenth), worst_share (their share of the sum)",
        "watch, sampled: run.pool",
    ),
    Entry(
        "posterior/*/spread",
        "1",
        "largest variance over the batch of any dimension of a posterior's mean",
        "watch, sampled",
    ),
    Entry(
        "posterior/*/active",
        "1",
        "share of the dimensions whose mean varies by more than 0.01 over the batch",
        "watch, sampled",
    ),
    Entry(
        "attention/*/entropy",
        "1",
        "entropy of the attention maps over that of looking at all permitted keys alike: "
        "attention/<model>.<layer>/entropy",
        "watch, sampled",
    ),
    Entry(
        "attention/*/concentration",
        "1",
        "what the most looked-at key gets of all queries' attention",
        "watch, sampled",
    ),
    Entry(
        "attention/*/likeness",
        "1",
        "mean cosine between the maps of a layer and those of the one before",
        "watch, sampled",
    ),
    Entry(
        "tokens/*/similarity",
        "1",
        "mean cosine between different tokens of a sample where a block ends: "
        "tokens/<model>.<block>/similarity; <block>.input is where the first one begins",
        "watch, sampled",
    ),
    Entry(
        "horizon/*/beyond",
        "1",
        "share of the loss's gradient on cells of an automaton that no news could reach in the "
        "rollout and that are exactly as they were",
        "watch, sampled",
    ),
    Entry(
        "loss_scale/*",
        "1",
        "factor by which mixed precision multiplies the loss before the backward pass: "
        "loss_scale/<scaler>",
        "watch, every step; logs",
    ),
    Entry("epoch", "1", "passes over the training data so far", "logs, unstuck.log"),
    Entry("other/*", "", "a column of a log that no detector reads", "logs"),
    Entry(
        "seconds/step",
        "s",
        "time from one step to the next, mean since the last reading",
        "watch; logs",
    ),
    Entry(
        "seconds/own",
        "s",
        "time a rank needs in one step for its data and its forward passes, before it waits for "
        "the other ranks; median since the last reading, as the processor sees it",
        "watch, where ranks average their gradients",
    ),
    Entry(
        "seconds/processor",
        "s",
        "processor time of one step, of all threads of the process",
        "watch",
    ),
    Entry(
        "seconds/readouts",
        "s",
        "time in a step that goes into rows of numbers read out of tensors one by one",
        "watch, sampled",
    ),
    Entry(
        "readouts/*",
        "1",
        "how often in a step a number is read out of a tensor of this device (item, tolist, "
        "print, if): readouts/<device>",
        "watch, sampled",
    ),
    Entry(
        "wait/data",
        "1",
        "share of the time spent waiting for a DataLoader's next batch, validation left out",
        "watch",
    ),
    Entry(
        "wait/before_forward",
        "1",
        "time from the end of a step to the next forward pass, of a mean step",
        "watch, sampled",
    ),
    Entry(
        "rank/*/*",
        "",
        "a series of another rank than the first: rank/<k>/<series>; its step is that rank's own",
        "watch, where several processes train together",
    ),
    Entry(
        "replica_gap/*",
        "1",
        "largest distance between the first rank's copy of a model and another rank's, as a share "
        "of its norm, from 8 random projections: replica_gap/<model>",
        "watch, sampled",
    ),
    Entry(
        "bytes/*", "B", "memory in use: bytes/<device>; cpu is the resident set", "watch, sampled"
    ),
)

FACTS = (
    Entry("parameters/*", "1", "number of parameters: parameters/<model>", "watch"),
    Entry("optimizer/*", "", "class of an optimizer: optimizer/<name>", "watch"),
    Entry(
        "idle/*",
        "1",
        "backward passes that reached an optimizer which has made no step: idle/<optimizer>; 0 "
        "once it steps or its weights change in another way",
        "watch",
    ),
    Entry("cut_off/*/at", "", "between which layers the graph was cut", "watch"),
    Entry("terms/*/error", "", "why the gradients of a loss's terms are not told apart", "watch"),
    Entry("orphaned/*/layers", "", "the first layers counted in orphaned/<model>", "watch"),
    Entry("horizon/*", "cells", "how far news can travel in one rollout: horizon/<model>", "watch"),
    Entry("canvas/*", "cells", "longer side of an automaton's canvas: canvas/<model>", "watch"),
    Entry(
        "prediction/*/classes",
        "1",
        "number of classes a loss is handed scores of",
        "watch",
    ),
    Entry(
        "prediction/*/made_by",
        "",
        "the bounded activation a prediction comes straight out of (softmax, sigmoid, relu, ...)",
        "watch",
    ),
    Entry("broadcast/*/shapes", "", "shapes that were broadcast against each other", "watch"),
    Entry(
        "reliance/*/skips",
        "1",
        "error with the skips zeroed over the error intact: reliance/<path>/skips",
        "probe path-reliance",
    ),
    Entry(
        "reliance/*/bottleneck",
        "1",
        "error with another sample's bottleneck over the error intact: reliance/<path>/bottleneck",
        "probe path-reliance",
    ),
    Entry(
        "reliance/*/leak",
        "1",
        "error with only what is known at use over the error measured in training, where "
        "training sees features of the answer: reliance/<path>/leak",
        "probe path-reliance",
    ),
    Entry("exit/*", "", "how the script ended: exit/exception, exit/status", "watch"),
    Entry("memory/*", "B", "memory there is: memory/<device>", "watch"),
    Entry(
        "flops/step",
        "1",
        "operations of matrix products, convolutions and attention in one step, three times those "
        "counted in its forward passes",
        "watch",
    ),
    Entry(
        "flops/attainable",
        "1/s",
        "operations a second of a product of two large matrices, measured after the last step",
        "watch",
    ),
    Entry(
        "ranks/*",
        "",
        "which process a record is of (index), how many trained together (count), how they talk "
        "(backend), how many of them were read (read)",
        "watch",
    ),
    Entry(
        "rank/*/*",
        "",
        "of one rank: the last step it recorded, when (last_wall), whether it was closed in order "
        "(closed), the exception it ended with",
        "watch",
    ),
    Entry("replica/*/shapes", "", "a checksum of the shapes of a model's parameters", "watch"),
    Entry(
        "resumed/step",
        "1",
        "the trainer's step that training went on from; steps of the run are counted from 0",
        "callbacks",
    ),
    Entry("recipe/*", "", "a setting that a tracker was told of after the run began", "callbacks"),
    Entry("step/unit", "", "what one step of the run is: step, epoch or row of a log", "logs"),
    Entry("source/*", "", "which format a log has, and remarks on what was not read", "logs"),
    Entry("logged/*", "", "the name a series has in the log it was read from", "logs"),
    Entry("environment/*", "", "versions and device the run was made with", "watch"),
)

LOSS_WORDS = LOSS | ERROR | {"err", "error", "errors"}
VALIDATION_PREFIXES = ("val_", "valid_", "validation_", "test_", "eval_", "dev_")
_RISES = re.compile(  # a word of a metric that is meant to rise
    r"(bal)?acc(uracy|uracies)?\d*|top\d+|psnr|(ms)?ssim|m?ap\d*|map\d*|au(c|roc|prc)|f\d(score)?"
    r"|[mgdc]?iou|jaccard|dice|precision|recall|r2|bleu\d*|rouge\w*|[csi]*snr|cider|ndcg\d*|hits\d*"
    r"|mrr|kappa|mcc|rewards?|returns?"
)


def meaning_of(name: str) -> Entry | None:
    """The glossary entry of a series or fact, if its name is known."""
    return next((e for e in (*SERIES, *FACTS) if fnmatchcase(name, e.pattern)), None)


def metric_name(key: str) -> str:
    """The series a logged metric belongs to.

    >>> metric_name("val_loss"), metric_name("psnr"), metric_name("metric/val/psnr")
    ('metric/val/loss', 'metric/train/psnr', 'metric/val/psnr')
    """
    if key == "epoch" or key.startswith(("metric/", "loss_scale/")):
        return key
    for prefix in VALIDATION_PREFIXES:
        if key.startswith(prefix) and len(key) > len(prefix):
            return f"metric/val/{key.removeprefix(prefix).replace('/', '.')}"
    return f"metric/train/{key.replace('/', '.')}"


def higher_is_better(metric: str) -> bool:
    """Whether a metric's last name part is one of the usual ones that rise when all goes well.

    >>> higher_is_better("metric/val/mAP50(B)"), higher_is_better("metric/val/dice_loss")
    (True, False)
    """
    words = words_of(metric.rsplit("/", 1)[-1])
    return not LOSS_WORDS & set(words) and any(_RISES.fullmatch(word) for word in words)
