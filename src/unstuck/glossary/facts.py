"""What is known once."""

from unstuck.glossary import context, plans, ways
from unstuck.glossary.entry import Entry

ENTRIES = (
    Entry("parameters/*", "1", "number of parameters: parameters/<model>", "watch"),
    Entry("probed/*", "", "what was probed at a step, or why nothing: probed/<step>", "watch"),
    Entry("optimizer/*", "", "class of an optimizer: optimizer/<name>", "watch"),
    Entry(
        "idle/*",
        "1",
        "backward passes that reached an optimizer which has made no step: idle/<optimizer>; 0 "
        "once it steps or its weights change in another way",
        "watch",
    ),
    Entry(
        "unstepped/*",
        "1",
        "steps an optimizer has made with a schedule of its rate that was never stepped: "
        "unstepped/<optimizer>; 0 without a schedule and where one has been stepped",
        "watch",
    ),
    Entry(
        "unstepped/*/*",
        "",
        "of that schedule: schedule (its class), by_metric (it waits for one), share (its first "
        "rate over the one it was made for), length (steps, where it has an end), moves_after "
        "(how many of its steps until it asks for another rate; 0: none within the run), passes "
        "(through the data so far, where a DataLoader gives it), validations (so far), ended (the "
        "run has)",
        "watch",
    ),
    Entry("cut_off/*/at", "", "between which layers the graph was cut", "watch"),
    Entry("terms/*/error", "", "why the gradients of a loss's terms are not told apart", "watch"),
    Entry("orphaned/*/layers", "", "the first layers counted in orphaned/<model>", "watch"),
    Entry("changed/*", "1", "a live change has acted: changed/<change>", "watch"),
    Entry("refused/*", "", "why a live change could not be carried out: refused/<change>", "watch"),
    Entry("seed/shifted", "1", "UNSTUCK_SEED: seeds of the script were shifted by it", "watch"),
    *context.ENTRIES,
    *ways.ENTRIES,
    *plans.ENTRIES,
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
        "rate/*/*",
        "1",
        "learning rates of a model's optimizer, from its state at the time: now, planned (by a "
        "schedule), low (makes half of the best progress in a few steps), best, high (above, the "
        "loss rises), low_spread and high_spread (largest over smallest of repetitions); progress "
        "(share of the loss that the best rate takes off), loss (before), steps (made so far)",
        "probe learning-rate-range",
    ),
    Entry(
        "overfit/*/*",
        "1",
        "how far a model learns a handful of samples without regularisation: first and last loss, "
        "floor (below which no prediction gets), share (what is left of the way to it), own_share "
        "(at the rate in use), steps, samples, rate, optimizer, reached, falling (share of what is "
        "left that the last third took off), blocked (what keeps the gradient or output from it)",
        "probe overfit-one-batch",
    ),
    Entry(
        "start/*/*",
        "",
        "of a model's loss: loss, expected (of a guess), ratio, measure (the loss functions that "
        "were handed a guess), steps (of the optimizer so far), reached (share of the trained "
        "weights), unreached (names), silent (share with a zero gradient), activation_growth, "
        "gradient_growth; start/reach/<term>/<part>: share of a part's parameters a term reaches",
        "probe start",
    ),
    Entry(
        "unused_path/*/*",
        "",
        "what the loss at use needs and training's never passes: share (of the needed weights), "
        "parts (where they are), joints (number), joint (the first)",
        "probe start",
    ),
    Entry(
        "collapse/*/*",
        "",
        "of a latent over the batch: batch_std, spread (over its size), rank (effective), samples, "
        "width, unique (share of sign patterns), uniformity, steps (of the optimizer so far); of a "
        "pair <a>:<b>: agreement, unpaired, paired, domain; of outputs: varies, nearest (over that "
        "of real ones)",
        "probe collapse",
    ),
    Entry(
        "future/*/*",
        "",
        "of a model's outputs: seen (change of earlier ones when later inputs change), past, own; "
        "next and same (share of targets that are the next or the same place's input), copied "
        "(share of targets that one column of the input equals), column (which), of and kind "
        "(classes or numbers)",
        "probe future",
    ),
    Entry(
        "noise_scale/*/samples",
        "samples",
        "gradient noise scale: the batch in which signal and noise of the gradient are equal; "
        "unknown where only a bound is known: noise_scale/<model>/samples",
        "probe noise-scale",
    ),
    Entry(
        "noise_scale/*/low",
        "samples",
        "lower end of the noise scale's 95 % interval",
        "probe noise-scale",
    ),
    Entry(
        "noise_scale/*/high",
        "samples",
        "upper end of the noise scale's 95 % interval; unknown where there is none",
        "probe noise-scale",
    ),
    Entry("noise_scale/*/batch", "samples", "samples in the batch in use", "probe noise-scale"),
    Entry("noise_scale/*/used", "samples", "samples that were looked at", "probe noise-scale"),
    Entry(
        "noise_scale/*/adam",
        "samples",
        "the noise scale as the adaptive optimizer scales its steps",
        "probe noise-scale",
    ),
    Entry(
        "noise_scale/*/adam_low", "samples", "lower end of that one's interval", "probe noise-scale"
    ),
    Entry(
        "noise_scale/*/random",
        "1",
        "share of the gradient's noise that is the model's own random numbers, such as dropout",
        "probe noise-scale",
    ),
    Entry(
        "accumulation/*/gap",
        "1",
        "difference of the gradients of k micro-batches and of one batch, over the batch's",
        "probe accumulation-equality",
    ),
    Entry(
        "accumulation/*/ratio",
        "1",
        "how many times as large the accumulated gradient is along the batch's",
        "probe accumulation-equality",
    ),
    Entry(
        "accumulation/*/step_gap",
        "1",
        "the same gap of the optimizer's step",
        "probe accumulation-equality",
    ),
    Entry(
        "accumulation/*/step_ratio",
        "1",
        "the same ratio of the optimizer's step",
        "probe accumulation-equality",
    ),
    Entry("accumulation/*/parts", "1", "micro-batches in a step", "probe accumulation-equality"),
    Entry(
        "accumulation/*/size", "samples", "samples in a micro-batch", "probe accumulation-equality"
    ),
    Entry(
        "accumulation/*/cause",
        "",
        "what makes the two differ, or none",
        "probe accumulation-equality",
    ),
    Entry(
        "accumulation/*/told",
        "",
        "whether the training's own accumulation was looked at",
        "probe accumulation-equality",
    ),
    Entry(
        "accumulation/*/kept",
        "1",
        "micro-batches the step was made with",
        "probe accumulation-equality",
    ),
    Entry(
        "accumulation/*/worst", "", "the parameter that differs most", "probe accumulation-equality"
    ),
    Entry(
        "accumulation/*/frozen",
        "1",
        "share of the parameters that the batch's step moves and the accumulated one does not",
        "probe accumulation-equality",
    ),
    Entry(
        "accumulation/*/norm_gap",
        "1",
        "the gap that batch normalisation makes",
        "probe accumulation-equality",
    ),
    Entry(
        "accumulation/*/random",
        "1",
        "gap between two gradients of one batch, for dropout and the like",
        "probe accumulation-equality",
    ),
    Entry(
        "registration/*/*",
        "px",
        "how the second pictures of pairs lie to the first: dx, dy (to the right, down), offset, "
        "low, high (its length and its interval), scatter (median distance of single pairs from "
        "it), agreement (share of pairs within 1 px of it), likeness (how sharply pairs match over "
        "shuffled ones), same (correlation of grey values, moved back), turn (degrees), stretch "
        "(%), pairs, batches",
        "probe registration",
    ),
    Entry(
        "preparation/*/*",
        "",
        "the model's input at use against that in training: order (of channels), flip, dx, dy "
        "(px), gain, bias (spreads of the input), sharpness, correlation, shape where it differs",
        "probe registration",
    ),
    Entry(
        "labels/*/*",
        "1",
        "whether labels can be told from inputs: linear, neighbour, accuracy, majority (shares of "
        "labels told right, or of the targets' variance), correlation, p, detectable (of the best "
        "probe's answers with the labels, by permutation), loss_ratio, held_out_loss_ratio (the "
        "model's loss with shuffled labels over that with the right ones), duplicates, "
        "conflicting, overlap, by_chance (shares of samples), samples, held_out, classes (counts)",
        "probe labels",
    ),
    Entry(
        "capacity/*/*",
        "1",
        "a model beside a linear map (smaller_) and a plain network of two hidden layers (larger_) "
        "trained on the same data: train and unseen (loss on training and on held-out batches), "
        "parameters; chance (loss of the best constant answer), samples, complete (whether these "
        "are all), falling (share of the training loss that the last third took off)",
        "probe capacity",
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
