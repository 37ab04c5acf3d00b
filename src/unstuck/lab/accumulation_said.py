"""What an accumulation's facts mean, in sentences."""

from collections.abc import Mapping

from unstuck.records import Scalar

WORTH_SAYING = 0.01  # of the gradient


def said(facts: Mapping[str, Scalar]) -> tuple[str, ...]:
    """Facts of accumulation-equality without their beginnings -> what a person wants to know."""
    parts, size, cause = facts["parts"], facts["size"], str(facts["cause"])
    whose = "The training's own accumulation" if facts.get("told") else "Accumulation by the book"
    found = [
        f"{whose} of {parts} micro-batches of {size} gives {facts['ratio']:.3g} times the gradient "
        f"of one batch and differs from it by {facts['gap']:.2%}: {_meaning(facts)[cause]}."
    ]
    if "step_gap" in facts and cause != "none":
        found.append(
            f"The optimizer's step is {facts['step_ratio']:.3g} times the batch's and differs from "
            f"it by {facts['step_gap']:.2%}."
        )
    random = facts["random"]
    if isinstance(random, float) and random > WORTH_SAYING:
        found.append(
            f"Dropout and other random numbers alone make gradients of one batch differ by "
            f"{random:.0%}; dropout was switched off to compare."
        )
    return tuple(found)


def _meaning(facts: Mapping[str, Scalar]) -> dict[str, str]:
    parts, kept, gap = facts["parts"], facts["kept"], facts["gap"]
    random = isinstance(gap, float) and gap > WORTH_SAYING
    return {
        "none": "the two are equal" + (" but for random numbers" if random else ""),
        "unscaled": f"the losses are added up and not divided by {parts}",
        "discarded": f"of {parts} micro-batches {kept} are in the step, the others were cleared",
        "stepped early": f"the step came after {kept}; say micro_batches={kept} if so meant",
        "frozen": (
            f"{facts.get('frozen', 0.0):.0%} of the parameters stay where they are, "
            f"{facts.get('worst', '')} among them"
        ),
        "clipped per micro-batch": "gradients are clipped before all of them are there",
        "scaled as a whole": "one factor on all of it, as clipping before the step gives",
        "unequal micro-batches": (
            "micro-batches count for unequally many things (tokens, pixels), and are averaged as "
            "if for equally many; divide sums by the number in all of them"
        ),
        "sum over samples": "the loss is a sum over samples, so parts are added and not averaged",
        "coupled samples": (
            "the loss compares samples of a batch, and a micro-batch has fewer to compare"
        ),
        "state that passes change": (
            "each pass changes a state of the model, as spectral normalisation does; there are "
            "more passes"
        ),
        "batch-dependent normalisation": (
            "batch normalisation sees one micro-batch at a time; with its layers frozen both are "
            "equal"
        ),
        "random numbers": "random numbers of the loss hide any smaller difference",
        "other": "no known fault gives this gradient",
    }
