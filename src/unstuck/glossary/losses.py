"""Losses, their terms and metrics."""

from unstuck.glossary.entry import Entry

ENTRIES = (
    Entry(
        "loss/*",
        "the loss's own",
        "training loss: the value a backward pass started from, named after the expression in the "
        "script; the mean over the micro-batches of one step",
        "watch, every step; logs",
    ),
    Entry(
        "objective/*",
        "the loss's own",
        "a loss as the script wrote it, where a live change adds to or alters it: objective/<loss>",
        "watch, every step of a changed run",
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
    Entry(
        "history/*",
        "1",
        "backward passes of this loss that its graph reaches back beyond: history/<loss>; what was "
        "made between two of them counts once",
        "watch, sampled",
    ),
    Entry(
        "mean_weight/*",
        "1",
        "derivative of what one backward pass starts from with respect to the mean losses in it, "
        "summed: mean_weight/<loss>; 1/k where a loss is divided by k micro-batches",
        "watch, sampled",
    ),
    Entry("epoch", "1", "passes over the training data so far", "logs, unstuck.log"),
    Entry("other/*", "", "a column of a log that no detector reads", "logs"),
)
