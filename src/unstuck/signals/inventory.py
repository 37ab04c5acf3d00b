"""What a watched run has that a treatment can change: optimizers, models, and who trains what."""

from unstuck.records import Run
from unstuck.signals.games import (
    discriminator_losses,
    generator_losses,
    is_discriminators_optimizer,
)


def optimizers(run: Run) -> list[str]:
    """The optimizers whose rate was read, by name, without their groups."""
    return sorted({s.name.split("/")[1] for s in run.matching("lr/*")})


def models(run: Run) -> list[str]:
    """
    >>> models(Run.of(facts={"parameters/netG": 9, "parameters/netD": 5}))
    ['netD', 'netG']
    """
    return [name.split("/", 1)[1] for name in run.facts_matching("parameters/*")]


def part(run: Run, where: str) -> str:
    """The model or layer a finding is about, or else the run's only model; empty where unclear.

    >>> part(Run.of(facts={"parameters/net": 9}), "net.head"), part(Run.of(), "net.head")
    ('net.head', '')
    """
    known = models(run)
    if "/" not in where and any(where == name or where.startswith(f"{name}.") for name in known):
        return where
    return known[0] if len(known) == 1 else ""


def parts(run: Run, where: str) -> list[str]:
    """The model or layer a finding is about, or else all models."""
    own = part(run, where)
    return [own] if own else models(run)


def discriminators(run: Run) -> list[str]:
    """The models that judge what others make: seen at work, or by their names."""
    told = {s.name.split("/")[1] for s in run.matching("real/*/spread")}
    return [m for m in models(run) if m in told or is_discriminators_optimizer(m)]


def discriminators_optimizers(run: Run) -> list[str]:
    """The optimizers of discriminators, by what they train or by their names."""
    judges = set(discriminators(run))
    found = []
    for name in optimizers(run):
        trained = _trained_by(run, name)
        if is_discriminators_optimizer(name) or (trained and trained <= judges):
            found.append(name)
    return found


def generators_optimizers(run: Run) -> list[str]:
    """The other optimizers of a game; empty where nothing plays against a discriminator."""
    judges = discriminators_optimizers(run)
    return [name for name in optimizers(run) if name not in judges] if judges else []


def optimizers_of(run: Run, where: str) -> list[str]:
    """The optimizers that a finding is about: the one it names, or those of its model or loss.

    Where nothing tells, all of them.
    """
    every = optimizers(run)
    if where.split("/")[0] in every:
        return [where.split("/")[0]]
    model = part(run, where).split(".")[0]
    trainers = [name for name in every if model and model in _trained_by(run, name)]
    if trainers:
        return trainers
    if where in {s.name for s in discriminator_losses(run)}:
        return discriminators_optimizers(run) or every
    if where in {s.name for s in generator_losses(run)}:
        return generators_optimizers(run) or every
    return every


def _trained_by(run: Run, optimizer: str) -> set[str]:
    """The models whose layers have gradients under this optimizer."""
    begin = f"grad_norm/{optimizer}/"
    layers = [name.removeprefix(begin) for name in run.series if name.startswith(begin)]
    return {
        model
        for model in models(run)
        if any(layer == model or layer.startswith(f"{model}.") for layer in layers)
    }
