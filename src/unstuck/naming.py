"""What a log calls a series -> the glossary's name for it, and its role.

A log is written by a person: `d_loss`, `train/loss`, `errD`, `val_acc`, `lr-Adam`. Names are taken
apart into words; words decide. `--role NAME=ROLE` says it where they decide wrongly.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

GENERATOR, DISCRIMINATOR = "generator", "discriminator"
RECONSTRUCTION, ADVERSARIAL, REGULARISER = "reconstruction", "adversarial", "regulariser"
TERM = "term"
LOSS, VALIDATION, TRAINING = "loss", "validation", "training"
LEARNING_RATE, GRADIENT_NORM, LOSS_SCALE = "learning-rate", "gradient-norm", "loss-scale"
STEP_TIME, EPOCH, OTHER = "step-time", "epoch", "other"
TERM_ROLES = (RECONSTRUCTION, ADVERSARIAL, REGULARISER, TERM)
ROLES = {
    LOSS: "a training loss, meant to fall",
    GENERATOR: "the loss of a generator in a game of two networks",
    DISCRIMINATOR: "the loss of a discriminator or critic in such a game",
    RECONSTRUCTION: "a term that compares an output with its target",
    ADVERSARIAL: "a term that a discriminator gives to a generator",
    REGULARISER: "a term that asks for something else than the fit (KL, penalty)",
    TERM: "any other term of a loss",
    VALIDATION: "measured on data that is not trained on",
    TRAINING: "a metric on the training data that is not minimised itself",
    LEARNING_RATE: "a learning rate",
    GRADIENT_NORM: "a norm of gradients",
    LOSS_SCALE: "the factor mixed precision multiplies the loss with",
    STEP_TIME: "seconds a step took",
    EPOCH: "passes over the training data so far",
    OTHER: "anything else: no detector reads it",
}

_TRAIN = {"train", "training", "trn", "tr"}
_VALIDATION = {
    *("val", "valid", "validation", "eval", "evaluation", "dev", "test", "testing", "holdout"),
    *("heldout", "vl"),
}
_D = {"d", "dis", "disc", "discrim", "discriminator", "critic", "netd"}
_G = {"g", "gen", "generator", "netg"}
_LOSS = {"loss", "losses", "cost", "criterion", "nll", "logloss"}
_GAME_LOSS = _LOSS | {"err"}  # errD, errG; elsewhere an error is a metric
_TOTAL = {"loss", "losses", "cost", "total", "sum", "overall", "all", "err", "full"}
_SMOOTHED = {"ema", "avg", "average", "smooth", "smoothed", "mean", "running", "std", "epoch"}
_ROLE_WORDS = {
    ADVERSARIAL: {"adv", "gan", "adversarial", "fool", "fooling", "cheat", "hinge"},
    REGULARISER: {
        *("kl", "kld", "kldiv", "reg", "regularizer", "regulariser", "regularization", "penalty"),
        *("gp", "r1", "r2", "commit", "commitment", "decay", "entropy", "tv", "prior"),
    },
    RECONSTRUCTION: {
        *("l1", "l2", "mse", "mae", "rec", "recon", "reconstruction", "pixel", "perceptual"),
        *("content", "const", "cycle", "cyc", "idt", "identity", "bce", "box", "cls", "dfl"),
    },
}
_METRIC = {
    *("acc", "accuracy", "top1", "top5", "psnr", "ssim", "map", "map50", "auc", "auroc", "f1"),
    *("iou", "miou", "dice", "precision", "recall", "r2", "bleu", "rouge", "reward", "return"),
    *("returns", "score", "mse", "mae", "rmse", "error", "ppl", "perplexity", "wer", "cer", "fid"),
    *("lpips", "bpc", "bpd", "snr", "ndcg", "hits", "kappa", "mcc", "bits", "err", "errors"),
}
_SPEED = {
    *(
        "time",
        "runtime",
        "seconds",
        "second",
        "sec",
        "secs",
        "duration",
        "fps",
        "throughput",
        "eta",
        "dt",
    ),
    *("speed", "samples", "tokens", "ms", "elapsed", "it", "latency", "mfu", "flops", "flos"),
}
_STEP_TIME = ("dt", "step time", "iter time", "time step", "time iter", "sec it", "batch time")
_STEP = {
    *("step", "global step", "iteration", "iter", "iters", "it", "itr", "trainer global step"),
    *("train step", "steps", "iterations", "update", "updates", "num updates", "n iter", "batch"),
    *("training step", "train iter", "batches", "train global step"),
}
_EPOCH = {"epoch", "epochs", "ep", "trainer epoch", "train epoch"}
_WALL = {"wall time", "timestamp", "walltime", "datetime"}
_WHOLE_WORDS = {"mAP": "map", "IoU": "iou", "mIoU": "miou", "LpIPS": "lpips"}
_GLUED = re.compile(
    r"^(train|val|valid|test|eval|d|g|dis|disc|gen|adv|kl|rec|recon)(loss|acc|err)$"
)
_GLUED_AFTER = re.compile(r"^(loss|err)(d|g)$")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_PIECE = re.compile(r"[^\W_]+")
LONGEST = 2_000  # characters of a name that are looked at


@dataclass(frozen=True, slots=True)
class Named:
    """A series' name in the glossary, and what it is for."""

    name: str
    role: str


def words_of(raw: str) -> tuple[str, ...]:
    """
    >>> words_of("errD_real"), words_of("metrics/mAP50(B)"), words_of("trainloss")
    (('err', 'd', 'real'), ('metrics', 'map50', 'b'), ('train', 'loss'))
    """
    text = raw[:LONGEST]
    for word, plain in _WHOLE_WORDS.items():
        text = text.replace(word, plain)
    found: list[str] = []
    for piece in _PIECE.findall(_CAMEL.sub("_", text)):
        word = piece.lower()
        glued = _GLUED.match(word) or _GLUED_AFTER.match(word)
        found += glued.groups() if glued else [word]
    return tuple(found)


def is_step(raw: str) -> bool:
    """Whether a column numbers the steps of training."""
    return " ".join(words_of(raw)) in _STEP


def is_epoch(raw: str) -> bool:
    return " ".join(words_of(raw)) in _EPOCH


def is_wall(raw: str) -> bool:
    """Whether a column holds the time of day."""
    return " ".join(words_of(raw)) in _WALL


def named(raws: Iterable[str], said: Mapping[str, str] | None = None) -> dict[str, Named]:
    """The glossary's name and the role of every series of one log.

    `said` gives the role of some names, as `--role` does. What a name means depends on its
    neighbours: `kl` is a term where there is a `loss`, `G_L1` a loss where there is a `D_real`.

    >>> {raw: n.name for raw, n in named(["d_loss", "g_loss", "l1_loss", "val/psnr"]).items()}
    ... # doctest: +NORMALIZE_WHITESPACE
    {'d_loss': 'loss/d_loss', 'g_loss': 'loss/g_loss', 'l1_loss': 'term/g_loss/l1_loss',
     'val/psnr': 'metric/val/psnr'}
    """
    roles = {raw: _role_of(words_of(raw)) for raw in raws}
    _settle_losses(roles)
    roles |= {raw: role for raw, role in (said or {}).items() if raw in roles}
    totals = _totals(roles)
    found: dict[str, Named] = {}
    taken: set[str] = set()
    for raw, role in roles.items():
        name = _name_of(raw, role, totals, short=True)
        if name in taken:
            name = _name_of(raw, role, totals, short=False)
        found[raw] = Named(_free(name, taken), role)
        taken.add(found[raw].name)
    return found


def _role_of(words: tuple[str, ...]) -> str:
    """The role of a series by its own words; a loss of some kind is `loss` at first."""
    have, text = set(words), " ".join(words)
    role = OTHER
    if text in _EPOCH:
        role = EPOCH
    elif "lr" in have or "learning rate" in text or text == "learningrate":
        role = LEARNING_RATE
    elif "scale" in have and have & {"loss", "grad", "amp", "scaler"}:
        role = LOSS_SCALE
    elif ("norm" in have and have & {"grad", "gradient", "gradients", "grads"}) or "gnorm" in have:
        role = GRADIENT_NORM
    elif text in _STEP_TIME:
        role = STEP_TIME
    elif have & _SPEED and not have & _LOSS:
        role = OTHER
    elif have & _VALIDATION:
        role = VALIDATION
    elif have & _LOSS:
        role = LOSS
    elif have & (_METRIC | _TRAIN):
        role = TRAINING
    return role


def _settle_losses(roles: dict[str, str]) -> None:
    """Tell generator, discriminator and terms from plain losses, by what stands beside them."""
    open_names = [r for r, role in roles.items() if role in (LOSS, TRAINING, OTHER)]
    words = {raw: set(words_of(raw)) for raw in open_names}
    sides = {raw: _side(words_of(raw)) for raw in open_names}
    spoken = {raw: side for raw, side in sides.items() if side and words[raw] & _GAME_LOSS}
    if set(spoken.values()) != {GENERATOR, DISCRIMINATOR}:
        spoken = {raw: side for raw, side in sides.items() if side and not words[raw] & _SPEED}
    game = set(spoken.values()) == {GENERATOR, DISCRIMINATOR}
    if game:
        roles.update(spoken)
    losses = [r for r, role in roles.items() if role == LOSS]
    if game:  # G_GAN G_L1 D_real cycle_A: terms are named without the word loss
        losses += [r for r in open_names if roles[r] == OTHER and _term_role(words[r])]
    totals = [raw for raw in losses if words[raw] <= _TOTAL | _TRAIN]
    for raw in losses:
        beside = game or bool(totals)
        if raw in totals and not game:
            continue
        if totals and words[raw] & _SMOOTHED and words[raw] - _SMOOTHED <= _TOTAL | _TRAIN:
            roles[raw] = OTHER  # the same loss once more, smoothed
        elif term := _term_role(words[raw]):
            if beside or term != RECONSTRUCTION:
                roles[raw] = term
        elif beside:
            roles[raw] = TERM


def _side(words: tuple[str, ...]) -> str:
    """Which network of a game a name speaks of, by its first or last words."""
    ends = {*words[:1], *words[1:2], *words[-1:]} if words else set()
    if ends & _D:
        return DISCRIMINATOR
    return GENERATOR if ends & _G else ""


def _term_role(words: set[str]) -> str:
    return next((role for role, known in _ROLE_WORDS.items() if words & known), "")


def _totals(roles: Mapping[str, str]) -> dict[str, str]:
    """The loss whose terms the others are: of the generator in a game, of the one loss else."""
    wanted = {role: [r for r, it in roles.items() if it == role] for role in (GENERATOR, LOSS)}
    whole = {
        role: [r for r in raws if set(words_of(r)) <= _TOTAL | _TRAIN | _G]
        for role, raws in wanted.items()
    }
    game = DISCRIMINATOR in roles.values()
    first = whole[GENERATOR if game else LOSS]
    return {"total": _cut(first[0]) if first else (GENERATOR if game else LOSS)}


def _name_of(raw: str, role: str, totals: Mapping[str, str], *, short: bool) -> str:
    rest = _cut(raw) if short else re.sub(r"[/\s]+", ".", raw).strip(".") or "unnamed"
    if role in TERM_ROLES:
        return f"term/{totals['total']}/{rest}"
    fixed = {
        EPOCH: "epoch",
        STEP_TIME: "seconds/step" if short else f"other/{rest}",
        VALIDATION: f"metric/val/{rest}",
        TRAINING: f"metric/train/{rest}",
        LEARNING_RATE: f"lr/{_without(rest, ('learning', 'rate', 'lr', 'epoch'))}",
        GRADIENT_NORM: f"grad_norm/{_without(rest, ('grad', 'gradient', 'norm', 'gnorm'))}",
        LOSS_SCALE: f"loss_scale/{_without(rest, ('loss', 'grad', 'scale', 'scaler', 'amp'))}",
        OTHER: f"other/{rest}",
    }
    return fixed.get(role, f"loss/{rest}")


def _cut(raw: str) -> str:
    """A raw name without its split: `train/loss` and `train_loss` are both `loss`."""
    text = re.sub(r"(?i)^(train|val|valid|test|eval)(loss|acc)$", r"\1_\2", raw.strip()[:LONGEST])
    pieces = [p for p in re.split(r"[\s/_\-.:]+", text) if p]
    kept = [p for p in pieces if p.lower() not in _TRAIN | _VALIDATION]
    return "_".join(kept or pieces) or "unnamed"


def _without(name: str, words: tuple[str, ...]) -> str:
    """What a name says beside the words every such name has; `all` where that is nothing."""
    kept = [p for p in name.split("_") if p.lower() not in words and p]
    return "_".join(kept) or "all"


def _free(name: str, taken: set[str]) -> str:
    if name not in taken:
        return name
    return next(n for i in range(2, len(taken) + 3) if (n := f"{name}~{i}") not in taken)
