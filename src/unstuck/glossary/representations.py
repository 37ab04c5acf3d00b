"""Codes, embeddings, pairs of modalities, posteriors, similarity targets."""

from unstuck.glossary.entry import Entry

ENTRIES = (
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
)
