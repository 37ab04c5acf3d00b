"""What a log calls a series -> the glossary's name for it, and its role.

A log is written by a person: `d_loss`, `train/loss`, `errD`, `val_acc`, `lr-Adam`. Names are taken
apart into words; words decide. `--role NAME=ROLE` says it where they decide wrongly.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from unstuck import vocabulary, words
from unstuck.words import LONGEST
from unstuck.words import is_epoch as is_epoch
from unstuck.words import is_step as is_step
from unstuck.words import is_wall as is_wall
from unstuck.words import words_of as words_of

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

_TERM_WORDS = {
    ADVERSARIAL: words.ADVERSARIAL,
    REGULARISER: words.REGULARISER,
    RECONSTRUCTION: words.RECONSTRUCTION,
}
_PLAIN = words.TOTAL | words.TRAIN  # all that the name of the one loss of a training says
_CHINESE_SPLIT = re.compile("(?:训练|验证|测试|訓練|驗證|測試)集?")
_ROLES_OF_KINDS = {
    "loss": LOSS,
    "term": TERM,
    "lr": LEARNING_RATE,
    "grad_norm": GRADIENT_NORM,
    "loss_scale": LOSS_SCALE,
    "epoch": EPOCH,
    "seconds": STEP_TIME,
}
_EACH_STEP = _PLAIN | {"step", "steps"}


@dataclass(frozen=True, slots=True)
class Named:
    """A series' name in the glossary, and what it is for."""

    name: str
    role: str


def named(raws: Iterable[str], said: Mapping[str, str] | None = None) -> dict[str, Named]:
    """The glossary's name and the role of every series of one log.

    `said` gives the role of some names, as `--role` does. What a name means depends on its
    neighbours: `kl` is a term where there is a `loss`, `G_L1` a loss where there is a `D_real`.

    >>> {raw: n.name for raw, n in named(["d_loss", "g_loss", "l1_loss", "val/psnr"]).items()}
    ... # doctest: +NORMALIZE_WHITESPACE
    {'d_loss': 'loss/d_loss', 'g_loss': 'loss/g_loss', 'l1_loss': 'term/g_loss/l1_loss',
     'val/psnr': 'metric/val/psnr'}
    """
    raws = list(raws)
    exported = {own.name: raw for raw in raws if (own := _exported(raw))}
    found = {raw: own for raw in exported.values() if (own := _exported(raw))}
    roles = {raw: _role_of(words_of(raw)) for raw in raws if raw not in found}
    _settle_losses(roles)
    roles |= {raw: role for raw, role in (said or {}).items() if raw in roles}
    total = _total(roles)
    taken: dict[str, int] = {own.name: 1 for own in found.values()}
    for raw, role in roles.items():
        name = _name_of(raw, role, total, short=True)
        if name in taken:
            name = _free(_name_of(raw, role, total, short=False), taken)
        found[raw] = Named(name, role)
        taken[name] = 1
    return found


def _exported(raw: str) -> Named | None:
    """What unstuck itself wrote into a dashboard has its name of the glossary already.

    >>> _exported("unstuck.share/loss/l1"), _exported("unstuck/loss/g").role, _exported("loss/g")
    (Named(name='share/loss/l1', role='other'), 'loss', None)
    """
    if not raw.startswith(("unstuck.", "unstuck/")):
        return None
    name = raw[len("unstuck.") :][:LONGEST]
    if vocabulary.meaning_of(name) is None:
        return None
    kind = name.partition("/")[0]
    if kind == "metric":
        return Named(name, VALIDATION if name.startswith("metric/val/") else TRAINING)
    return Named(name, _ROLES_OF_KINDS.get(kind, OTHER))


def _role_of(said: tuple[str, ...]) -> str:
    """The role of a series by its own words; a loss of some kind is `loss` at first."""
    have, text = set(said), " ".join(said)
    role = OTHER
    if is_epoch(text):
        role = EPOCH
    elif "lr" in have or "learning rate" in text or text == "learningrate":
        role = LEARNING_RATE
    elif "scale" in have and have & {"loss", "grad", "amp", "scaler"}:
        role = LOSS_SCALE
    elif ("norm" in have and have & {"grad", "gradient", "gradients", "grads"}) or "gnorm" in have:
        role = GRADIENT_NORM
    elif text in words.STEP_TIME:
        role = STEP_TIME
    elif have & words.SPEED and not have & (words.LOSS | words.METRIC):
        role = OTHER
    elif have & words.VALIDATION:
        role = VALIDATION
    elif _is_loss(said):
        role = LOSS
    elif have & (words.METRIC | words.TRAIN):
        role = TRAINING
    return role


def _is_loss(said: tuple[str, ...]) -> bool:
    """Whether a name speaks of a loss; `losses/q_values` and `loss_weight` do not."""
    have = set(said)
    if "cross" in have and "entropy" in have:
        return True
    return bool(have & words.LOSS) and (said[-1] in words.LOSS or not have & words.NO_LOSS)


def _settle_losses(roles: dict[str, str]) -> None:
    """Tell generator, discriminator and terms from plain losses, by what stands beside them."""
    open_names = [r for r, role in roles.items() if role in (LOSS, TRAINING, OTHER)]
    said = {raw: words_of(raw) for raw in open_names}
    have = {raw: set(it) for raw, it in said.items()}
    game = _settle_game(roles, said)
    losses = [r for r, role in roles.items() if role == LOSS]
    if not (losses or game):
        losses = _errors(roles)
        roles.update(dict.fromkeys(losses, LOSS))
    if game:  # G_GAN G_L1 D_real cycle_A: terms are named without the word loss
        losses += [r for r in open_names if roles[r] == OTHER and _may_be_term(said[r])]
    totals = [raw for raw in losses if have[raw] <= _PLAIN]
    totals = totals or [raw for raw in losses if have[raw] <= _EACH_STEP]
    for raw in losses:
        beside = game or bool(totals)
        if raw in totals and not game:
            continue
        if totals and have[raw] & words.SMOOTHED and have[raw] - words.SMOOTHED <= _EACH_STEP:
            roles[raw] = OTHER  # the same loss once more, smoothed
        elif term := _term_role(have[raw]):
            if beside or term != RECONSTRUCTION:
                roles[raw] = term
        elif beside:
            roles[raw] = TERM
    if _earns(roles) and {r for r, role in roles.items() if role == LOSS} <= set(totals):
        roles.update(dict.fromkeys(totals, TERM))  # an agent's loss need not fall


def _settle_game(roles: dict[str, str], said: Mapping[str, tuple[str, ...]]) -> bool:
    """Give the losses of two networks that play against each other their sides, if there are."""
    sides = {r: s for r, it in said.items() if (s := _side(it)) and not _no_loss_of(it)}
    spoken = {raw: side for raw, side in sides.items() if set(said[raw]) & words.GAME_LOSS}
    if set(spoken.values()) != {GENERATOR, DISCRIMINATOR}:
        spoken = {raw: s for raw, s in sides.items() if not set(said[raw]) & words.SPEED}
    if set(spoken.values()) != {GENERATOR, DISCRIMINATOR}:
        return False
    for raw, side in spoken.items():
        penalty = _term_role(set(said[raw])) == REGULARISER
        roles[raw] = REGULARISER if penalty else side
    return True


def _no_loss_of(said: tuple[str, ...]) -> bool:
    """Whether a name speaks of something a network has beside its loss (`D_x`, `D_accuracy`)."""
    return bool(set(said) & words.NO_LOSS) and said[-1] not in words.GAME_LOSS


def _may_be_term(said: tuple[str, ...]) -> bool:
    return bool(_term_role(set(said))) and not set(said) & words.NO_LOSS


def _errors(roles: Mapping[str, str]) -> list[str]:
    """What a regression minimises, where no loss is logged: `train-rmse`."""
    found = [raw for raw, role in roles.items() if role == TRAINING]
    return [r for r in found if (it := set(words_of(r))) & words.TRAIN and it & words.ERROR][:1]


def _earns(roles: Mapping[str, str]) -> bool:
    """Whether a log tells what an agent earns."""
    said = [(set(words_of(raw)), role) for raw, role in roles.items()]
    if any(it & words.PREFERENCES for it, _ in said):
        return False
    return any(it & words.RETURNS and role in (TRAINING, OTHER) for it, role in said)


def _side(said: tuple[str, ...]) -> str:
    """Which network of a game a name speaks of, by its first or last words."""
    ends = {*said[:2], *said[-1:]}
    if ends & words.D:
        return DISCRIMINATOR
    return GENERATOR if ends & words.G else ""


def _term_role(have: set[str]) -> str:
    if "cross" in have or have & {"box", "bbox"}:  # cross entropy, loss_box_reg
        have = have - {"entropy", "reg"}
    return next((role for role, known in _TERM_WORDS.items() if have & known), "")


def _total(roles: Mapping[str, str]) -> str:
    """The loss whose terms the others are: of the generator in a game, of the one loss else."""
    wanted = {role: [r for r, it in roles.items() if it == role] for role in (GENERATOR, LOSS)}
    whole = {
        role: [r for r in raws if set(words_of(r)) <= _EACH_STEP | words.G]
        for role, raws in wanted.items()
    }
    game = DISCRIMINATOR in roles.values()
    first = whole[GENERATOR if game else LOSS]
    return _cut(first[0]) if first else (GENERATOR if game else LOSS)


def _name_of(raw: str, role: str, total: str, *, short: bool) -> str:
    rest = _cut(raw) if short else re.sub(r"[/\s]+", ".", raw).strip(".") or "unnamed"
    if role in TERM_ROLES:
        return f"term/{total}/{rest}"
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
    """A raw name without its split: `train/loss` and `valid_0's loss` are both `loss`."""
    text = re.sub(r"(?i)^(train|val|valid|test|eval)(loss|acc)$", r"\1_\2", raw.strip()[:LONGEST])
    text = _CHINESE_SPLIT.sub("", text) or text
    pieces = [p for p in re.split(r"(?:'s)?[\s/_\-.:]+", text) if p]
    kept: list[str] = []
    after_split = False
    for piece in pieces:
        numbers_split = after_split and (piece == "s" or (piece.isdigit() and len(piece) == 1))
        after_split = numbers_split or piece.lower() in words.TRAIN | words.VALIDATION
        if not after_split:
            kept.append(piece)
    return "_".join(kept or pieces) or "unnamed"


def _without(name: str, words: tuple[str, ...]) -> str:
    """What a name says beside the words every such name has; `all` where that is nothing."""
    kept = [p for p in name.split("_") if p.lower() not in words and p]
    return "_".join(kept) or "all"


def _free(name: str, taken: dict[str, int]) -> str:
    """The name, or with the next number behind it; `taken` counts how often each was asked for."""
    free = name
    while free in taken:
        taken[name] += 1
        free = f"{name}~{taken[name]}"
    return free
