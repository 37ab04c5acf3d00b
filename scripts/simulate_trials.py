"""How good the verdicts of trials are, on simulated runs with known effects.

    python scripts/simulate_trials.py [--trials 20000] [--seed 0] [--only early|once]

Every simulated trial goes through `unstuck.trials.judge.judge`, as real ones do. A run's metric is
level + what its seed brings + noise; noise of sd 1/sqrt(2) per run makes paired differences of sd
1, so that a shift is the effect size d. Prints rates with standard errors.
"""

import argparse
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from unstuck.records import Floats, Outcome, Plan, Treatment, Verdict
from unstuck.trials.judge import judge, power
from unstuck.trials.power import expected_pairs

Noise = Callable[[np.random.Generator, tuple[int, ...]], Floats]
CALLED = ("helped", "harmed")


def gaussian(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return rng.standard_normal(shape)


def heavy_tailed(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Student's t with 3 degrees of freedom, scaled to sd 1: now and then a run goes astray."""
    return rng.standard_t(3, shape) / math.sqrt(3)


def skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Exponential, centred: the errors of runs have a long right side."""
    return rng.standard_exponential(shape) - 1


def in_steps(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Gaussian, rounded to one sd: accuracy on a handful of samples."""
    return np.round(rng.standard_normal(shape))


@dataclass(frozen=True)
class World:
    """Trials of the same kind: pairs, the true effect of each treatment, the noise of a run.

    `crashes`: share of the runs that fail. The same seed gives the same runs with and without
    `early` stopping, so that both can be compared on them.
    """

    pairs: int
    effects: tuple[float, ...] = (0.0,)
    margin: float = 0.0
    noise: Noise = gaussian
    early: bool = False
    crashes: float = 0.0

    def plan(self) -> Plan:
        treatments = tuple(Treatment(f"t{i}", "", {}, "") for i in range(len(self.effects)))
        return Plan(
            "score",
            {},
            treatments,
            tuple(range(self.pairs)),
            margin=self.margin,
            stop_early=self.early,
        )

    def verdicts(self, trials: int, seed: int) -> Iterator[tuple[Verdict, ...]]:
        plan, rng = self.plan(), np.random.default_rng(seed)
        arms = ("baseline", *(t.name for t in plan.treatments))
        shift = np.array([0.0, *self.effects])[:, None]
        for _ in range(trials):
            per_seed = 3 * rng.standard_normal(self.pairs)  # what pairing takes out
            noise = self.noise(rng, (len(arms), self.pairs)) / math.sqrt(2)
            score = 20 + shift + per_seed + noise
            failed = rng.random(score.shape) < self.crashes if self.crashes else score < -math.inf
            yield judge(
                plan,
                [
                    Outcome(arm, s, {}, error="RuntimeError: x")
                    if failed[a, s]
                    else Outcome(arm, s, {"score": float(score[a, s])})
                    for s in plan.seeds
                    for a, arm in enumerate(arms)
                ],
            )


def rate(hits: list[bool]) -> tuple[float, float]:
    """A share and its standard error."""
    share = float(np.mean(hits))
    return share, math.sqrt(share * (1 - share) / len(hits))


def called(world: World, trials: int, seed: int) -> tuple[float, float]:
    """How often any treatment is called helped or harmed."""
    runs = world.verdicts(trials, seed)
    return rate([any(v.word in CALLED for v in verdicts) for verdicts in runs])


def covered(world: World, trials: int, seed: int) -> tuple[float, float]:
    """How often the intervals of all treatments hold the true effects."""
    runs = world.verdicts(trials, seed)
    truth = world.effects
    return rate([all(v.low <= d <= v.high for v, d in zip(vs, truth, strict=True)) for vs in runs])


def wrong_equivalence(world: World, trials: int, seed: int) -> tuple[float, float]:
    """How often a treatment whose true effect is on the margin is called `no difference`."""
    runs = world.verdicts(trials, seed)
    return rate([verdicts[0].word == "no difference" for verdicts in runs])


def line(text: str, value: tuple[float, float], yardstick: str) -> None:
    print(f"{text:58} {value[0]:7.4f} +- {value[1]:.4f}   {yardstick}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--trials", type=int, default=20_000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--only", choices=("early", "once"))
    given = options.parse_args()
    few, many, seed = max(1, given.trials // 4), given.trials, given.seed
    if given.only != "early":
        once(few, many, seed)
    if given.only != "once":
        early(few, many, seed)


def once(few: int, many: int, seed: int) -> None:
    """One look at the end of the plan."""
    blocks = [round(500 * called(World(5), 500, seed + i)[0]) for i in range(max(1, many // 500))]
    within = sum(count <= 25 for count in blocks)
    print(f"A/A, 5 pairs, {len(blocks)} times 500 trials (an exact test: 25 +- 5 each)")
    print(f"  called: mean {np.mean(blocks):.1f}, range {min(blocks)} to {max(blocks)}")
    print(f"  the first: {blocks[0]}; at most 25 in {within} of {len(blocks)}")
    for pairs in (3, 5, 10):
        line(f"A/A called, {pairs} pairs", called(World(pairs), many, seed), "at most .05")
    for noise in (heavy_tailed, skewed, in_steps):
        value = called(World(5, noise=noise), few, seed)
        line(f"A/A called, 5 pairs, {noise.__name__} noise", value, "at most .05")
    for pairs, d in ((5, 1.0), (5, 2.0), (10, 1.0)):
        value = called(World(pairs, (d,)), few, seed)
        line(f"power, {pairs} pairs, d = {d:g}", value, f"t-test {power(pairs, d):.3f}")
    for pairs in (3, 5, 10):
        value = covered(World(pairs, (0.7,)), few, seed)
        line(f"interval covers, {pairs} pairs", value, ".93 to .97")
    four = World(5, (0.0,) * 4)
    line("Holm, 4 A/A treatments, any called", called(four, few, seed), "at most .05")
    line("Holm, intervals of 4 A/A treatments all cover", covered(four, few, seed), "from .95")
    mixed = World(5, (0.0, 0.0, 0.0, 4.0))
    line("Holm, intervals beside a strong effect all cover", covered(mixed, few, seed), "from .95")
    edge = World(10, (1.0,), margin=1.0)
    value = wrong_equivalence(edge, few, seed)
    line("no difference, true effect on the margin, 10 pairs", value, "at most .025")


@dataclass(frozen=True)
class Tally:
    """What a row of trials with one treatment came to."""

    called: tuple[float, float]
    covered: tuple[float, float]
    covered_stopped: tuple[float, float]  # of those that ended before their last pair
    too_high: tuple[float, float]  # the interval lies above the truth
    too_low: tuple[float, float]
    pairs: float
    stopped: float
    effect: float  # median of the estimates

    @classmethod
    def of(cls, world: World, trials: int, seed: int) -> "Tally":
        rows = [verdicts[0] for verdicts in world.verdicts(trials, seed)]
        (d,) = world.effects
        held = [v.low <= d <= v.high for v in rows]
        stopped = [v.pairs < world.pairs for v in rows]
        return cls(
            rate([v.word in CALLED for v in rows]),
            rate(held),
            rate([h for h, s in zip(held, stopped, strict=True) if s] or [False]),
            rate([v.low > d for v in rows]),
            rate([v.high < d for v in rows]),
            float(np.mean([v.pairs for v in rows])),
            float(np.mean(stopped)),
            float(np.median([v.effect for v in rows])),
        )


def early(few: int, many: int, seed: int) -> None:
    """Up to 12 pairs, a look after each from the third on."""
    print("\nstopping early")
    for pairs in (4, 5, 8, 12):
        value = called(World(pairs, early=True), many, seed)
        line(f"A/A called, up to {pairs} pairs", value, "at most .05")
    for noise in (heavy_tailed, skewed, in_steps):
        value = called(World(12, noise=noise, early=True), few, seed)
        line(f"A/A called, up to 12 pairs, {noise.__name__} noise", value, "at most .05")
    value = called(World(12, early=True, crashes=0.1), few, seed)
    line("A/A called, up to 12 pairs, 10 % of the runs crash", value, "at most .05")
    for d in (0.0, 0.3, 0.5, 1.0, 1.5, 2.0, 3.0):
        tally = Tally.of(World(12, (d,), early=True), few, seed)
        line(f"d = {d:g}: called", tally.called, f"t-test, 12 pairs {power(12, d):.3f}")
        line("  interval covers", tally.covered, ".93 to .97")
        line(f"  interval covers, of the {tally.stopped:.3f} stopped", tally.covered_stopped, "")
        line("  interval above the truth", tally.too_high, "")
        line("  interval below the truth", tally.too_low, "")
        saved, expected = 1 - tally.pairs / 12, expected_pairs(12, d)
        print(f"  pairs used {tally.pairs:.2f} (of 12: {saved:.1%} fewer; forecast {expected:.2f})")
        print(f"  median estimate {tally.effect:.3f}")
    four = World(12, (0.0,) * 4, early=True)
    line("Holm, 4 A/A treatments, any called", called(four, few, seed), "at most .05")
    for effects in ((0.0,) * 4, (0.0, 0.0, 0.0, 4.0), (1.0, 1.0, 1.0, 2.0)):
        value = covered(World(12, effects, early=True), few, seed)
        line(f"Holm, all intervals cover, effects {effects}", value, "from .95")
    for d in (1.0, 1.5):
        value = wrong_equivalence(World(12, (d,), margin=d, early=True), few, seed)
        line(f"no difference, true effect on a margin of {d:g} sd", value, "at most .025")


if __name__ == "__main__":
    main()
