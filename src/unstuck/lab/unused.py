"""What the loss at use depends on and the training loss does not: weights, and joints of parts."""

import torch
from torch import Tensor

from unstuck.experiment import NotProbed
from unstuck.lab.reach import Reached, outputs_of, parts_of, reached_by, upstream
from unstuck.lab.subject import Subject
from unstuck.records import Scalar

LOOKS = 3  # at the training loss, on other batches and random numbers: it may draw its path
MOST_NAMES = 3
SEED = 0


def unused_path(subject: Subject) -> tuple[dict[str, Scalar], list[str]]:
    """Facts `unused_path/<model>/...` and what they say. NotProbed where use leaves no graph."""
    trained = {id(p) for p in subject.parameters if p.requires_grad}
    parts = {
        name: ids
        for name, module in parts_of(subject.model).items()
        if (ids := {id(p) for p in module.parameters()} & trained)
    }
    used = of_use(subject, set(parts))
    taught = of_training(subject, set(parts))
    needed = used.parameters & trained
    if not needed:
        raise NotProbed("the loss at use depends on no trained weight: it has no gradient")
    sizes = {id(p): p.numel() for p in subject.model.parameters()}
    missed = needed - taught.parameters
    share = sum(sizes[i] for i in missed) / sum(sizes[i] for i in needed)
    after = upstream(taught.joints)
    joints = sorted(
        (a, b)
        for a, b in used.joints - taught.joints
        if (b, a) not in after
        and parts[a] & taught.parameters
        and parts[b] & taught.parameters  # else the weights say it already
    )
    key = f"unused_path/{subject.name}"
    facts: dict[str, Scalar] = {f"{key}/share": share, f"{key}/joints": len(joints)}
    said = [f"Training's loss reaches {1 - share:.0%} of the weights that are needed at use."]
    if missed:
        where = [n for n, ids in parts.items() if ids & missed] or [subject.name]
        facts[f"{key}/parts"] = ", ".join(where[:MOST_NAMES])
        said[0] += f" The others are in {facts[f'{key}/parts']}; they stay as they began."
    if joints:
        facts[f"{key}/joint"] = " > ".join(joints[0])
        said.append(
            f"At use {joints[0][1]} reads what {joints[0][0]} gives; in training no loss goes that "
            f"way ({len(joints)} such joint{'s' if len(joints) > 1 else ''})."
        )
    return facts, said


def of_use(subject: Subject, names: set[str]) -> Reached:
    """What the loss at use depends on, in evaluation mode."""
    assert subject.at_use is not None
    with subject.evaluating(), outputs_of(_named(subject, names)) as outputs:
        torch.manual_seed(SEED)
        found = subject.at_use(subject.model, subject.batch)
        values = [found] if isinstance(found, Tensor) else list(found.values())
        reached = Reached()
        for value in values:
            reached.add(reached_by(value, outputs))
    return reached


def of_training(subject: Subject, names: set[str]) -> Reached:
    """What the training loss depends on: in its own mode and in evaluation mode, all it takes."""
    reached = Reached()
    batches = subject.more(LOOKS)
    for look in range(LOOKS):
        batch = batches[look % len(batches)]
        reached.add(_of_loss(subject, batch, names, look))
        with subject.evaluating():
            reached.add(_of_loss(subject, batch, names, look))
    return reached


def _of_loss(subject: Subject, batch: object, names: set[str], seed: int) -> Reached:
    with outputs_of(_named(subject, names)) as outputs:
        torch.manual_seed(SEED + seed)
        return reached_by(subject.value(batch), outputs)


def _named(subject: Subject, names: set[str]) -> dict[str, torch.nn.Module]:
    return {n: m for n, m in parts_of(subject.model).items() if n in names}
