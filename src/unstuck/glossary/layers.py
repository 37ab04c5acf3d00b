"""Models layer by layer: activations, branches, modes, normalisation, attention."""

from unstuck.glossary.entry import Entry

ENTRIES = (
    Entry(
        "contribution/*",
        "1",
        "standard deviation of what a branch adds to a sum over that of the sum: "
        "contribution/<model>.<layer>",
        "watch, sampled sparsely",
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
)
