"""What goes into models and losses, and what generators make."""

from unstuck.glossary.entry import Entry

ENTRIES = (
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
        "pool/*/*",
        "the loss's own",
        "losses of a pool of samples: median, best (the tenth below which one in ten lies), worst "
        "(mean of the worst tenth), worst_share (their share of the sum)",
        "watch, sampled: run.pool",
    ),
    Entry(
        "horizon/*/beyond",
        "1",
        "share of the loss's gradient on cells of an automaton that no news could reach in the "
        "rollout and that are exactly as they were",
        "watch, sampled",
    ),
)
