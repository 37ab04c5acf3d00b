"""Single faults of the repaired form, and what can be tried on a sick one."""

from collections.abc import Mapping

from unstuck import Treatment
from unstuck.cases.agch.recipe import Scalar

Changes = Mapping[str, Scalar]

# name -> (change of the repaired recipe, codes a correct diagnosis names first)
FAULTS: Mapping[str, tuple[Changes, tuple[str, ...]]] = {
    "collapsed-codes": ({"quantisation": 40.0}, ("COL001",)),
    "unbalanced-bits": ({"quantisation": 5.0, "balance": 0.0, "trivial": True}, ("COL002",)),
    "unquantised-codes": ({"align": 100.0}, ("COL003",)),
    "misaligned-modalities": ({"shuffle_pairs": True}, ("COL005",)),
    "miscalibrated-targets": ({"source": "batch", "similarity": "sum"}, ("COL006",)),
    "inert-branch": ({"graph_std": 0.0015, "lr_graph": 1e-8}, ("GRD003",)),
    # steps of Adam are as long for faint words as for loud ones: only SGD does not hear them
    "sparse-input": (
        {
            "text_scale": 0.01,
            "optimizer": "sgd",
            "lr_image": 0.01,
            "lr_text": 0.01,
            "lr_graph": 0.01,
            "lr_fusion": 0.01,
        },
        ("DAT002",),
    ),
    "unstepped-schedule": ({"schedule_stepped": False}, ("OPT016",)),
}

TREATMENTS: tuple[Treatment, ...] = (
    Treatment(
        "diffused-targets",
        "use-centred-targets",
        {"source": "diffused", "affine": False, "gamma_image": 0.7, "gamma_text": 1.0},
        "targets lie around zero and follow the data's groups; codes spread, mAP rises",
        ("COL001", "COL002", "COL006"),
    ),
    Treatment(
        "less-quantisation",
        "lower-term-weight",
        {"quantisation": 1.0},
        "codes leave the signs they began with; mAP rises",
        ("COL001", "COL002"),
    ),
    Treatment(
        "balance",
        "add-balance-term",
        {"balance": 1.0},
        "each bit is as often 1 as -1; mAP rises a little",
        ("COL001", "COL002"),
    ),
    Treatment(
        "less-alignment",
        "lower-term-weight",
        {"align": 1.0},
        "codes leave zero, where alignment alone is best; mAP rises",
        ("COL003",),
    ),
    Treatment(
        "quantisation",
        "add-quantisation-term",
        {"quantisation": 1.0},
        "entries come near 1 and -1, so that signs lose little; mAP rises",
        ("COL003",),
    ),
    Treatment(
        "shared-shuffling",
        "use-shared-shuffling",
        {"shuffle_pairs": False},
        "partners are found; mAP rises from chance",
        ("COL005",),
    ),
    Treatment(
        "usual-initialisation",
        "rescale-initialisation",
        {"graph_std": 0.0, "lr_graph": 1e-3},
        "the graph's share of the joint code is no longer nothing; mAP hardly moves",
        ("GRD003",),
    ),
    Treatment(
        "normalised-text",
        "normalise-input",
        {"text_batchnorm": True},
        "words are heard; mAP rises from chance",
        ("DAT002",),
    ),
    Treatment(
        "stepped-schedule",
        "step-schedule",
        {"schedule_stepped": True},
        "the rate falls; mAP hardly moves",
        ("OPT016",),
    ),
)
