"""The study's outcomes as Markdown.

Intervals are 95 %, t over seeds; differences pair the seeds. L1 and the Frechet distance are better
where they are lower.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from unstuck import Trial
from unstuck.cases.zi2zi.study_arms import CLAIMS, Claim
from unstuck.cases.zi2zi.train import MARGIN

Floats = NDArray[np.float64]

CONFIDENCE = 0.95
BASELINE = "baseline"
JUDGED = {"l1": 4, "frechet": 1}  # decimals
SHOWN = JUDGED | {"ssim": 3, "d_loss": 3, "d_accuracy": 2}
MARGINS = {"l1": MARGIN, "frechet": 3.0}  # within it two forms are the same
NAMES = {
    "l1": "L1",
    "frechet": "Frechet (MobileNetV2)",
    "ssim": "SSIM",
    "d_loss": "d_loss",
    "d_accuracy": "D right",
}


def by_seed(trial: Trial, arm: str, metric: str) -> Floats:
    """A figure of an arm's runs, in the order of the seeds; NaN where a run failed."""
    found = {o.seed: o.metrics.get(metric, np.nan) for o in trial.outcomes if o.arm == arm}
    return np.array([found.get(seed, np.nan) for seed in trial.plan.seeds])


@dataclass(frozen=True, slots=True)
class Effect:
    """A mean paired difference and its interval."""

    mean: float
    low: float
    high: float

    def shown(self, decimals: int) -> str:
        text = f"{self.mean:+.{decimals}f} ({self.low:+.{decimals}f} to {self.high:+.{decimals}f})"
        return f"**{text}**" if self.low > 0 or self.high < 0 else text


def effect(trial: Trial, arm: str, against: str, metric: str) -> Effect:
    """An arm less another, seed by seed; without an interval where there are not two seeds."""
    values = by_seed(trial, arm, metric) - by_seed(trial, against, metric)
    mean = float(values.mean())
    if len(values) < 2 or not np.isfinite(values).all():
        return Effect(mean, np.nan, np.nan)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * stats.sem(values))
    return Effect(mean, mean - half, mean + half)


def verdict(says: str, effects: Mapping[str, Effect]) -> str:
    """What the figures say of a claim.

    supported: a figure's interval lies on the side that was claimed, none on the other; refuted:
    the other way round; depends on the measure: one each; undecided: neither. `same` is supported
    where every interval lies within the margins, refuted where one leaves them.
    """
    lower = {name: e.high < 0 for name, e in effects.items()}
    higher = {name: e.low > 0 for name, e in effects.items()}
    if says == "same":
        if all(-MARGINS[n] < e.low and e.high < MARGINS[n] for n, e in effects.items()):
            return "supported"
        left = any(e.high < -MARGINS[n] or e.low > MARGINS[n] for n, e in effects.items())
        return "refuted" if left else "undecided"
    good, bad = (lower, higher) if says == "better" else (higher, lower)
    if any(good.values()) and any(bad.values()):
        sides = ", ".join(f"{NAMES[n]} {'for' if good[n] else 'against'}" for n in effects)
        return f"depends on the measure: {sides}"
    if any(good.values()):
        return "supported"
    return "refuted" if any(bad.values()) else "undecided"


def arm_table(trial: Trial, baseline: str) -> Iterator[str]:
    """Every arm: its figures, and its differences to the baseline."""
    yield f"| arm | {' | '.join(NAMES[n] for n in SHOWN)} | less `{baseline}`: L1 | Frechet |"
    yield "|---" * (len(SHOWN) + 3) + "|"
    for arm in (BASELINE, *(a for a in _arms(trial) if a != BASELINE)):
        cells = [f"`{baseline}`" if arm == BASELINE else arm]
        cells += [f"{by_seed(trial, arm, n).mean():.{places}f}" for n, places in SHOWN.items()]
        for name, places in JUDGED.items():
            shown = effect(trial, arm, BASELINE, name).shown(places) if arm != BASELINE else ""
            cells.append(shown)
        yield f"| {' | '.join(cells)} |"


def _arms(trial: Trial) -> list[str]:
    return list(dict.fromkeys(outcome.arm for outcome in trial.outcomes))


def claim_table(trials: Mapping[str, Trial]) -> Iterator[str]:
    """Claim, who says it, what the runs say, by how much."""
    yield "| id | claim | who says so | verdict | L1 | Frechet (MobileNetV2) |"
    yield "|---|---|---|---|---|---|"
    for key, claims in CLAIMS.items():
        for claim in claims:
            yield claim_row(key, claim, trials[claim.trial])


def claim_row(key: str, claim: Claim, trial: Trial) -> str:
    found = {n: effect(trial, claim.arm, claim.against, n) for n in JUDGED}
    shown = " | ".join(found[n].shown(places) for n, places in JUDGED.items())
    said = verdict(claim.says, found)
    return f"| {key} | {claim.text} | {claim.who} | {said} | {shown} |"
