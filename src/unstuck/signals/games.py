"""Which losses are those of two networks that play against each other?

A loss of such a game is not meant to fall: each side's gain is the other's loss.
"""

import re

from unstuck.records import Run, Series
from unstuck.signals.stages import by_stage

DISCRIMINATOR = "discriminator"  # role of a discriminator's or critic's loss
GENERATOR = "generator"
_D_NAME = re.compile(
    r"(?:^|[_.])(?:d|dis|disc|discrim\w*|critic|netd)[_.]?(?:loss|err|error|cost)"
    r"|(?:loss|err|error|cost)[_.]?(?:d(?:$|[_.])|dis(?:$|[_.])|disc(?:$|[_.])|discrim|critic|netd)"
    r"|^(?:disc|critic|discriminator)(?:$|[_.])"
)
_ACTOR_CRITIC = re.compile(r"actor|policy")  # there a critic is an estimate, not an opponent
_VALUES = re.compile(r"(?:^|[_./])(?:td|bellman|q|qf\d?|q_value|value)[_.]?(?:loss|err)")
_RETURNS = re.compile(r"(?:^|[_./])(?:returns?|rewards?|rew|score|ep_?rew_?mean)(?:$|[_./])")
_D_OPTIMIZER = re.compile(r"(?:^|[_.])(?:d|dis|disc|discrim\w*|critic|netd)(?:$|[_.])")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
ADVERSARIAL_TERM = re.compile(r"adv|gan|fool|fake|cheat", re.IGNORECASE)


def is_discriminators(run: Run, series: Series) -> bool:
    """Whether a loss belongs to a discriminator, by its role or else by its name."""
    role = run.roles.get(series.name)
    if role:
        return role == DISCRIMINATOR
    return bool(_D_NAME.search(_snake(series.name.split("/", 1)[1])))


def is_discriminators_optimizer(name: str) -> bool:
    """Whether an optimizer trains a discriminator, by its name (`optimizer_D`, `d_opt`)."""
    return bool(_D_OPTIMIZER.search(_snake(name)))


def _snake(name: str) -> str:
    """`errD_real` as `err_d_real`."""
    return _CAMEL.sub("_", name).lower()


def is_reinforcement(run: Run) -> bool:
    """Whether a loss or a term of one is an actor's, or is that of values beside returns."""
    losses = [*run.matching("loss/*"), *run.matching("term/*")]
    if any(_ACTOR_CRITIC.search(s.name.lower()) for s in losses):
        return True
    return bool(returns(run)) and any(_VALUES.search(_snake(s.name)) for s in losses)


def value_losses(run: Run) -> list[Series]:
    """The losses of estimated values; they grow with the returns. Empty without reinforcement."""
    if not is_reinforcement(run):
        return []
    return [s for s in run.matching("loss/*") if _VALUES.search(_snake(s.name))]


def returns(run: Run) -> list[Series]:
    """Metrics of what an agent earns (`mean_return`, `episode_reward`)."""
    return [s for s in run.matching("metric/*") if _RETURNS.search(_snake(s.name))]


def discriminator_losses(run: Run) -> list[Series]:
    """The losses of discriminators; empty unless another loss plays against them."""
    losses = run.matching("loss/*")
    if is_reinforcement(run):
        return []
    found = [s for s in losses if is_discriminators(run, s)]
    return found if len(found) < len(losses) else []


def generator_losses(run: Run) -> list[Series]:
    """The losses a discriminator plays against; empty where there is none."""
    theirs = {s.name for s in discriminator_losses(run)}
    return [s for s in run.matching("loss/*") if theirs and s.name not in theirs]


def adversaries(run: Run) -> list[Series]:
    """What plays against the discriminators: adversarial terms, or else the generators' losses."""
    found: list[Series] = []
    for loss in generator_losses(run):
        terms = run.matching(f"term/{loss.name.split('/', 1)[1]}/*")
        found += [t for t in terms if ADVERSARIAL_TERM.search(t.name.rsplit("/", 1)[1])] or [loss]
    return found


def lone_losses(run: Run) -> list[Series]:
    """The losses that are no part of a game and are therefore meant to fall, stage by stage."""
    if discriminator_losses(run) or is_reinforcement(run):
        return []
    return [part for series in run.matching("loss/*") for part in by_stage(run, series)]
