"""What the study changes of which form, and which changes test which published claim."""

from collections.abc import Mapping

from unstuck.cases.agch.recipe import DEFECTS, PRESETS, REPAIRS, Scalar

Changes = Mapping[str, Scalar]

LENGTHS = (16, 32, 64, 128)
SHORT = 16  # bits of the published table of ablation
FORMS = ("repaired", "paper", "notes", "reported")
BEST = ("repaired", "paper")  # what is tried at every length
FIRST = (("repaired", SHORT), ("random", SHORT))  # what other forms and baselines are changes of

# fields that are corrected together -> the correction's name
CORRECTIONS: Mapping[str, tuple[str, ...]] = {
    "lengths of Z kept": ("renormalise",),
    "graph of S >= 0": ("adjacency",),
    "weights that act": ("constant_weights",),
    "schedule stepped": ("schedule_stepped",),
    "gammas .7 and 1": ("gamma_image", "gamma_text"),
    "diffused targets": ("source", "affine", "similarity", "neighbours", "rank"),
    "words by rareness": ("text_input",),
    "no BatchNorm1d": ("text_batchnorm",),
    "dropout": ("dropout",),
    "term of partners": ("contrast", "temperature"),
    "graph joins the fusion": ("graph_joins",),
    "AdamW, cosine, batches of 64": (
        "optimizer",
        "lr_image",
        "lr_text",
        "lr_graph",
        "lr_fusion",
        "weight_decay",
        "schedule",
        "schedule_stepped",
        "batch_size",
        "epochs",
    ),
    "quantisation and balance 1": ("quantisation", "balance"),
    "plain ReLU, gain 1": ("leak", "first_gain"),
}
# tried on the notes' form as well; each of the others is tried by taking it away again
ON_NOTES = (
    "lengths of Z kept",
    "graph of S >= 0",
    "weights that act",
    "schedule stepped",
    "diffused targets",
    "no BatchNorm1d",
)
# taken away from the repaired form: lengths do nothing to a graph of neighbours, and constant
# weights are those of the form but for delta, which has an arm of its own
INERT = frozenset({"lengths of Z kept", "weights that act"})
REPORTING = frozenset({"real_figures"})  # changes no code and no figure on bits


def taken(fields: tuple[str, ...], base: str, other: str) -> Changes:
    """What `fields` of the preset `base` are in `other`, where they differ."""
    values, wanted = PRESETS[base].flat(), PRESETS[other].flat()
    return {field: wanted[field] for field in fields if wanted[field] != values[field]}


def differences(base: str, other: str) -> Changes:
    """All that makes the preset `base` into `other`."""
    return taken(tuple(PRESETS[base].flat()), base, other)


def corrections(base: str, other: str) -> dict[str, Changes]:
    """Each correction alone, as changes of the preset `base` towards `other`."""
    found = {name: taken(fields, base, other) for name, fields in CORRECTIONS.items()}
    return {name: changes for name, changes in found.items() if changes}


def undone(repair: str) -> Changes:
    """A repair of the notes taken away again."""
    return taken(tuple(REPAIRS[repair]), "notes", "reported")


def as_many_steps(preset: str, batch: int) -> Changes:
    """Another size of batches, with epochs for as many steps."""
    recipe = PRESETS[preset]
    epochs = max(1, round(recipe.epochs * batch / recipe.batch_size))
    return {"batch_size": batch, "epochs": epochs}


ADDED: Mapping[str, Changes] = {  # to the reported form
    **{f"+ {name}": changes for name, changes in REPAIRS.items()},
    "+ BatchNorm1d alone": {"text_batchnorm": True},
    "all four (notes)": differences("reported", "notes"),
}
REMOVED: Mapping[str, Changes] = {  # from the notes
    **{f"- {name}": undone(name) for name in REPAIRS},
}
CORRECTED: Mapping[str, Changes] = {  # notes, some corrections alone, and claims
    **{f"+ {name}": corrections("notes", "repaired")[name] for name in ON_NOTES},
    "exp(-sqrt(dist) / rho)": {"root": True},
    "beta .1, weights that act": {"constant_weights": False, "beta": 0.1},
    "delta 1, weights that act": {"constant_weights": False, "delta": 1.0},
    "batch 128": {"batch_size": 128},
    "batch 128, as many steps": as_many_steps("notes", 128),
}
UNCORRECTED: Mapping[str, Changes] = {  # repaired, each correction taken away, and claims
    **{
        f"- {name}": changes
        for name, changes in corrections("repaired", "notes").items()
        if name not in INERT
    },
    "2S - 1": {"affine": True},
    "align 0": {"align": 0.0},
    "quantisation and balance 0": {"quantisation": 0.0, "balance": 0.0},
    "delta 1": {"delta": 1.0},
    "no graph": {"graph": False},
    "batch 32": {"batch_size": 32},
    "batch 128": {"batch_size": 128},
    "Twitter's pictures": {"style": "twitter"},
}
ABLATION: Mapping[str, Changes] = {  # the paper's own table, of the paper's form
    "cosine only": {"similarity": "cosine"},
    "distance only": {"similarity": "distance"},
    "no fusion": {"fusion": "mean"},
    "no graph": {"graph": False},
}
BEYOND: Mapping[str, Changes] = {  # claims, on the paper's form
    "C + D": {"similarity": "sum"},
    "exp(-sqrt(dist) / rho)": {"root": True},
    "S instead of 2S - 1": {"affine": False},
    "lengths of Z lost": DEFECTS["renormalised"],
    "AdamW, cosine, batches of 64": corrections("paper", "repaired")[
        "AdamW, cosine, batches of 64"
    ],
}
# mAP@50, image to text, 16 bits, MIRFlickr-25K: Zhang et al., IEEE TMM 24, 2022, table of ablation
PUBLISHED: Mapping[str, float] = {
    "baseline": 0.865,
    "cosine only": 0.833,
    "distance only": 0.832,
    "no fusion": 0.848,
    "no graph": 0.855,
}
NOTES = 0.648  # mAP@all of 64 bits that the notes ended with on MIRFlickr-25K

# claim -> what it says, and the arms that test it: trial, arm
CLAIMS: Mapping[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "A01": (
        "S = C * D instead of a sum raises mAP",
        (
            ("added", "+ product"),
            ("removed", "- product"),
            ("ablation", "C + D"),
        ),
    ),
    "A02": (
        "exp(-sqrt(dist) / rho) instead of exp(-dist / rho)",
        (("corrected", "exp(-sqrt(dist) / rho)"), ("ablation", "exp(-sqrt(dist) / rho)")),
    ),
    "A03": (
        "2S - 1 is needed",
        (
            ("ablation", "S instead of 2S - 1"),
            ("uncorrected", "2S - 1"),
        ),
    ),
    "A04": (
        "BatchNorm1d in front of the text brings it to life",
        (
            ("added", "+ BatchNorm1d alone"),
            ("removed", "- text-normalised"),
            ("uncorrected", "- no BatchNorm1d"),
        ),
    ),
    "A05": (
        "LeakyReLU and a first gain of 2 help",
        (("uncorrected", "- plain ReLU, gain 1"),),
    ),
    "A06": (
        "a direct alignment term is needed",
        (("added", "+ alignment"), ("removed", "- alignment"), ("uncorrected", "align 0")),
    ),
    "A07": (
        "quantisation and balance prevent collapse",
        (
            ("added", "+ quantised"),
            ("removed", "- quantised"),
            ("uncorrected", "quantisation and balance 0"),
        ),
    ),
    "A08": (
        "a lower weight between the modalities keeps samples apart",
        (("corrected", "beta .1, weights that act"),),
    ),
    "A09": (
        "delta .01 or 1 is the same: the graph is of limited use",
        (
            ("corrected", "delta 1, weights that act"),
            ("uncorrected", "delta 1"),
            ("uncorrected", "no graph"),
            ("ablation", "no graph"),
        ),
    ),
    "A10": (
        "batch 32 is worse than 128",
        (
            ("corrected", "batch 128"),
            ("corrected", "batch 128, as many steps"),
            ("uncorrected", "batch 32"),
            ("uncorrected", "batch 128"),
        ),
    ),
    "A11": (
        "the gap left comes from other features",
        (("uncorrected", "Twitter's pictures"),),
    ),
}
