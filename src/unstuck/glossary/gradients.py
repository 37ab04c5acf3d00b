"""Optimizers: rates, gradients between and at their steps, updates, weights."""

from unstuck.glossary.entry import Entry

ENTRIES = (
    Entry("lr/*", "1", "learning rate: lr/<optimizer>[/<group>]", "watch, when it changes; logs"),
    Entry(
        "grad_norm/*",
        "1",
        "L2 norm of the gradients just before the optimizer's step: of all its parameters "
        "(grad_norm/<optimizer>) or of one layer (grad_norm/<optimizer>/<model>.<layer>)",
        "watch, sampled; logs",
    ),
    Entry(
        "update_ratio/*",
        "1",
        "L2 norm of the change of the weights in one step over that of the weights; total or by "
        "layer as for grad_norm",
        "watch, sampled",
    ),
    Entry(
        "gradient_agreement/*",
        "1",
        "cosine between the gradients of two steps in a row: gradient_agreement/<optimizer>; "
        "the signal's share of a gradient's square, below 0 where steps go back and forth",
        "watch, sampled",
    ),
    Entry(
        "noise_floor/*",
        "the loss's own",
        "how much higher the loss is for the noise of the gradient, if all of it is noise: a "
        "quarter of gradient times the movement it causes: noise_floor/<optimizer>",
        "watch, sampled",
    ),
    Entry(
        "weight_norm/*",
        "1",
        "L2 norm of the weights that have a gradient; total or by layer as for grad_norm",
        "watch, sampled",
    ),
    Entry("weight_decay/*", "1", "weight decay, the largest of the optimizer's groups", "watch"),
    Entry(
        "recurrence/*/gradient_ratio",
        "1",
        "gradient at the first eighth of the time steps over that at the last eighth: of a "
        "recurrent layer's last state on its inputs, or on the outputs of a module that is called "
        "again and again in one step: recurrence/<model>.<layer>/gradient_ratio",
        "watch, sampled",
    ),
    Entry(
        "gradient_reach/*",
        "1",
        "share of the optimizer's trainable parameter tensors with a gradient that is not all "
        "zero: gradient_reach/<optimizer>",
        "watch, sampled",
    ),
    Entry(
        "carried_gradient/*",
        "1",
        "norm of the gradients left from before the optimizer's last step, at the least that was "
        "found before a backward pass, over their norm at its next step: carried_gradient/"
        "<optimizer>",
        "watch, sampled",
    ),
    Entry(
        "discarded_gradient/*",
        "1",
        "share of the backward passes between two steps whose gradients were cleared before the "
        "step, of the losses that optimizer follows: discarded_gradient/<optimizer>",
        "watch, sampled",
    ),
    Entry(
        "accumulated_passes/*",
        "1",
        "backward passes of one loss whose gradients an optimizer's step sums: "
        "accumulated_passes/<optimizer>",
        "watch, sampled",
    ),
    Entry(
        "rescaled_gradient/*",
        "1",
        "norm of the gradients at the optimizer's step over what the last backward pass left: 1 "
        "unless they are clipped, unscaled or divided in between: rescaled_gradient/<optimizer>",
        "watch, sampled",
    ),
    Entry(
        "cut_off/*",
        "1",
        "share of the optimizer's trainable parameter tensors whose layers ran in front of a place "
        "where the graph was cut, and got no gradient: cut_off/<optimizer>",
        "watch, sampled",
    ),
    Entry(
        "orphaned/*",
        "1",
        "share of the model's parameters that got a gradient and belong to no optimizer seen so "
        "far: orphaned/<model>",
        "watch, sampled",
    ),
    Entry(
        "loss_scale/*",
        "1",
        "factor by which mixed precision multiplies the loss before the backward pass: "
        "loss_scale/<scaler>",
        "watch, every step; logs",
    ),
)
