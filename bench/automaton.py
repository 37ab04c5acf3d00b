"""What a step of the nca case's rules costs against the usual way to write it, and what is kept.

    python bench/automaton.py

Steps a second on canvases of 64, 128 and 256 cells, without gradients and with the backward pass:
`plain` perceives with a depthwise convolution and thinks anew with what is given at every step;
`rule` is the same function as the case trains it. They take turns in one process, and the ratio is
that of the best of each. Then the bytes that a rollout of 96 steps at 128 cells keeps for its
backward pass: with checkpoints their own, and those of the one part that is computed again.
"""

import time

import torch
from rich.console import Console
from rich.table import Table

from unstuck.cases.nca.measures import kept_bytes
from unstuck.cases.nca.recipe import PRESETS
from unstuck.cases.nca.rule import Rule, plain

SIZES = (64, 128, 256)
ROUNDS = 5
STEPS = 8
SEGMENT = 8


def timed(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def ratio(rule, state, given, backward):
    """Steps a second of both forms, and how many times as fast the case's is."""

    def run(form):
        if not backward:
            with torch.no_grad():
                return form(state, given, STEPS)
        return form(state, given, STEPS).square().mean().backward()

    forms = {"rule": rule, "plain": lambda *words: plain(rule, *words)}
    best = dict.fromkeys(forms, float("inf"))
    for _ in range(ROUNDS):
        for name, form in forms.items():
            best[name] = min(best[name], timed(lambda form=form: run(form)))
    return STEPS / best["rule"], STEPS / best["plain"], best["plain"] / best["rule"]


def main():
    console = Console(width=100, highlight=False)
    table = Table(title=f"steps a second of one canvas, {torch.get_num_threads()} threads")
    for column in ("task", "cells", "pass", "rule", "plain", "times as fast"):
        table.add_column(column, justify="right")
    for task, form in (("grow", "baseline64"), ("flow", "repaired")):
        recipe = PRESETS[f"{task}-{form}"]
        channels = 4 + recipe.channels if task == "flow" else 0
        rule = Rule(recipe, channels)
        torch.nn.init.normal_(rule.act.weight, std=0.01)
        for size in SIZES:
            state = torch.rand(1, recipe.channels, size, size)
            given = torch.rand(1, channels, size, size) if channels else None
            for backward in (False, True):
                fast, usual, times = ratio(rule, state, given, backward)
                name = "with backward" if backward else "forward"
                table.add_row(task, str(size), name, f"{fast:.1f}", f"{usual:.1f}", f"{times:.2f}")
    console.print(table)
    rollout, part = kept(0, 96), kept(0, SEGMENT)
    checkpointed = kept(SEGMENT, 96) + part
    console.print(
        f"a rollout of 96 steps at 128 cells keeps {rollout / 1e6:.0f} MB; with a checkpoint every "
        f"{SEGMENT} steps at most {checkpointed / 1e6:.0f} MB ({checkpointed / rollout:.0%})"
    )


def kept(segment, steps):
    """Bytes that a rollout of one canvas keeps for its backward pass."""
    rule = Rule(PRESETS["grow-baseline64"].model_copy(update={"segment": segment}), 0)
    return kept_bytes(lambda: rule(torch.rand(1, 16, 128, 128), None, steps))


if __name__ == "__main__":
    main()
