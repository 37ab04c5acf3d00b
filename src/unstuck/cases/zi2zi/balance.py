"""How much the adversarial term weighs as training goes on."""

from unstuck.cases.zi2zi.recipe import Recipe

STEPS = ((0.02, 0.20), (0.08, 0.35), (0.20, 0.50))  # d_loss below -> weight; the notes' dynamic one
MOST = 0.60  # where the discriminator's loss is above all of them
RISE = (0.1, 0.3, 0.5)  # the notes' schedule, a third of the training each


def adversarial_weight(recipe: Recipe, done: float, d_loss: float) -> float:
    """The weight for the next update.

    `done` is the share of training that is over, `d_loss` the discriminator's last loss, the mean
    over all micro-batches of an update: what accumulation is does not move the thresholds.
    """
    if recipe.balance == "scheduled":
        return RISE[min(len(RISE) - 1, int(done * len(RISE)))]
    if recipe.balance == "dynamic":
        return next((weight for limit, weight in STEPS if d_loss < limit), MOST)
    return recipe.lambda_adv
