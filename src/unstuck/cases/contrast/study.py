"""Which factor carries the effect, what the claims are worth, how much each fault costs.

    python -m unstuck.cases.contrast.study --seeds 5                     about 15 minutes, 2 cores
    python -m unstuck.cases.contrast.study --seeds 3 --anatomy average

Three trials, each paired by seed: the 2x2x2 of skip use, content weight and zero start; the
published remedy against single changes of it; the repaired form against its faults. They are kept
in runs/study-contrast/ and taken up again where they stopped. Prints Markdown.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np
from scipy import stats

import unstuck
from unstuck import Trial, case_options
from unstuck.cases.contrast.faults import FAULTS, TREATMENTS
from unstuck.cases.contrast.recipe import PRESETS, Scalar
from unstuck.cases.contrast.train import HIGHER_IS_BETTER, MARGIN, METRIC, UNIT

Changes = Mapping[str, Scalar]
CONFIDENCE = 0.95

# factor -> (level as reported, level changed)
FACTORS: Mapping[str, tuple[Changes, Changes]] = {
    "skip use": (
        {"same_domain_use_skip": True, "cross_domain_strategy": "zero_skip"},
        {"same_domain_use_skip": False, "cross_domain_strategy": "no_skip"},
    ),
    "content weight": ({"content_weight": 1.0}, {"content_weight": 0.05}),
    "zero start": ({"zero_start": False}, {"zero_start": True}),
}

CLAIMS: Mapping[str, Changes] = {
    "skips within a domain (X01, X02)": FACTORS["skip use"][0],
    "latent 32 (X03)": {"latent_channels": 32},
    "recon weight 1 (X04)": {"recon_weight": 1.0},
    "content weight 0": {"content_weight": 0.0},
    **{t.name: t.changes for t in TREATMENTS},
}


def factor_arms() -> dict[str, Changes]:
    """The eight cells by their levels, such as "010"."""
    cells: dict[str, Changes] = {}
    for levels in product((0, 1), repeat=len(FACTORS)):
        changes: dict[str, Scalar] = {}
        for level, factor in zip(levels, FACTORS.values(), strict=True):
            changes |= factor[level]
        cells["".join(map(str, levels))] = changes
    return cells


def run(
    name: str, preset: str, arms: Mapping[str, Changes], options: argparse.Namespace, watch: bool
) -> Trial:
    """One trial of the study, or what is left of it to do."""
    baseline = PRESETS[preset].flat() | {"anatomy": options.anatomy}
    if options.steps:
        baseline["steps"] = options.steps
    return unstuck.trial(
        "unstuck.cases.contrast.train:train",
        baseline,
        arms,
        metric=METRIC,
        higher_is_better=HIGHER_IS_BETTER,
        unit=UNIT,
        margin=MARGIN,
        seeds=options.seeds,
        workers=options.workers,
        watch=watch,
        stop_early=False,
        name=f"contrast-{name}",
        out=options.out / f"{options.anatomy}-{options.seeds}" / name,
    )


def by_seed(trial: Trial, arm: str, metric: str = METRIC) -> np.ndarray:
    """The metric of an arm's runs, in the order of the seeds; NaN where a run failed."""
    found = {o.seed: o.metrics.get(metric, np.nan) for o in trial.outcomes if o.arm == arm}
    return np.array([found.get(seed, np.nan) for seed in trial.plan.seeds])


def interval(values: np.ndarray) -> str:
    """Mean and its t interval, "14.1 (13.2 to 15.0)"."""
    mean = float(values.mean())
    if len(values) < 2 or not np.isfinite(values).all():
        return f"{mean:.2f}"
    half = stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * stats.sem(values)
    return f"{mean:.2f} ({mean - half:.2f} to {mean + half:.2f})"


def factor_tables(trial: Trial) -> Iterator[str]:
    """The cells, then each factor's effect over all cells and with a normal start."""
    cells = {arm: by_seed(trial, "baseline" if arm == "000" else arm) for arm in factor_arms()}
    yield f"| {' | '.join(FACTORS)} | PSNR, dB | cross | latent std |\n|---|---|---|---|---|---|"
    for arm, values in cells.items():
        levels = (", ".join(map(str, f[int(x)].values())) for x, f in zip(arm, FACTORS.values(),
                  strict=True))  # fmt: skip
        name = "baseline" if arm == "000" else arm
        cross, spread = (by_seed(trial, name, m).mean() for m in ("cross", "latent_std"))
        yield f"| {' | '.join(levels)} | {interval(values)} | {cross:.3f} | {spread:.2g} |"
    yield "\n| effect of, dB | over all cells | with a normal start |\n|---|---|---|"
    for place, factor in enumerate(FACTORS):
        normal = {a: v for a, v in cells.items() if a[2] == "0"}
        inside = interval(effect(normal, place)) if factor != "zero start" else ""
        yield f"| {factor}, changed | {interval(effect(cells, place))} | {inside} |"


def effect(cells: Mapping[str, np.ndarray], place: int) -> np.ndarray:
    """By seed: mean of the cells with the changed level less mean of those without."""
    changed = [v for arm, v in cells.items() if arm[place] == "1"]
    kept = [v for arm, v in cells.items() if arm[place] == "0"]
    return np.asarray(np.mean(changed, axis=0) - np.mean(kept, axis=0))


def arm_table(trial: Trial, name: str) -> Iterator[str]:
    """Baseline and every arm with its verdict."""
    yield (
        "| | PSNR, dB | effect, dB | verdict | cross | latent std | named first |\n"
        "|---|---|---|---|---|---|---|"
    )
    yield row(trial, "baseline", f"**{name}**", "", "")
    for verdict in trial.verdicts:
        gain = f"{verdict.effect:+.2f} ({verdict.low:+.2f} to {verdict.high:+.2f})"
        yield row(trial, verdict.treatment.name, verdict.treatment.name, gain, verdict.word)


def row(trial: Trial, arm: str, shown: str, gain: str, word: str) -> str:
    cross, spread = (by_seed(trial, arm, m).mean() for m in ("cross", "latent_std"))
    return (
        f"| {shown} | {interval(by_seed(trial, arm))} | {gain} | {word} | {cross:.3f} | "
        f"{spread:.2g} | {case_options.named_first(trial, arm)} |"
    )


def constants(trial: Trial) -> str:
    """What predicting the mean and copying the input reach on the same subjects."""
    mean, copy = (interval(by_seed(trial, "baseline", m)) for m in ("psnr_mean", "psnr_copy"))
    return f"PSNR of the mean training image: {mean} dB; of the input itself: {copy} dB."


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        "python -m unstuck.cases.contrast.study", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--anatomy", choices=("varied", "average"), default="varied")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--steps", type=int, help="shorter training, to try the study itself")
    parser.add_argument("--only", choices=("factors", "claims", "faults"))
    parser.add_argument("--out", type=Path, default=Path("runs/study-contrast"))
    options = parser.parse_args(arguments)
    cells = factor_arms()
    cells.pop("000")
    studies: dict[str, tuple[str, Mapping[str, Changes], bool, Callable[[Trial], Iterator[str]]]]
    studies = {
        "factors": ("reported", cells, False, factor_tables),
        "claims": ("notes", CLAIMS, True, lambda t: arm_table(t, "notes")),
        "faults": (
            "repaired",
            {name: changes for name, (changes, _) in FAULTS.items()},
            True,
            lambda t: arm_table(t, "repaired"),
        ),
    }
    try:
        for name, (preset, arms, watch, table) in studies.items():
            if options.only in (None, name):
                trial = run(name, preset, arms, options, watch)
                print(f"\n### {name}, {options.anatomy} anatomy, {options.seeds} seeds\n")
                print("\n".join([constants(trial), "", *table(trial)]), flush=True)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
