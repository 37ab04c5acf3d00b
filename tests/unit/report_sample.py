"""A run whose latent collapsed, with its trial: what the report's tests and pictures show.

Made by hand, the numbers chosen like those of the contrast case; no detector is run.
"""

import numpy as np

from unstuck.records import (
    Cause,
    Diagnosis,
    Evidence,
    Finding,
    Outcome,
    Plan,
    Run,
    Series,
    Treatment,
    Trial,
    Unchecked,
    Verdict,
)
from unstuck.report.pictures import Pictures

STEPS = 250
LATENT = "latent/model.encoder.to_latent/batch_std"


def run() -> Run:
    rng = np.random.default_rng(0)
    at = np.arange(STEPS)

    def noisy(curve: np.ndarray, noise: float = 0.04) -> np.ndarray:
        return curve * np.exp(noise * rng.standard_normal(STEPS))

    latent = noisy(1e-4 + 0.1 * np.exp(-at / 14), 0.10)
    content = noisy(latent**1.1 * 3 + 1e-4, 0.15)
    recon, cross = noisy(0.42 + 0.35 * np.exp(-at / 20)), noisy(0.54 + 0.23 * np.exp(-at / 12))
    columns = {
        LATENT: latent,
        "latent/model.encoder.to_latent/rms": noisy(0.3 + 0 * at),
        "loss/loss": content + 0.05 * recon + cross,
        "term/loss/content": content,
        "term/loss/recon": recon,
        "term/loss/cross": cross,
        "weight/loss/content": np.ones(STEPS),
        "weight/loss/recon": np.full(STEPS, 0.05),
        "weight/loss/cross": np.ones(STEPS),
        "lr/optimizer": np.full(STEPS, 1e-3),
        "grad_norm/optimizer": noisy(0.02 + 2 * np.exp(-at / 10), 0.3),
        "update_ratio/optimizer": noisy(0.001 + 0.01 * np.exp(-at / 30), 0.2),
        "seconds/step": noisy(np.full(STEPS, 0.031), 0.1),
    }
    total = content + 0.05 * recon + cross
    columns |= {
        "share/loss/content": content / total,
        "share/loss/recon": 0.05 * recon / total,
        "share/loss/cross": cross / total,
    }
    series = {name: Series(name, at, value) for name, value in columns.items()}
    every = at[9::10]
    for split, level in (("train", 11.0), ("val", 10.6)):
        name = f"metric/{split}/psnr"
        series[name] = Series(name, every, level - 4 * np.exp(-every / 15))
    return Run(
        series,
        recipe={
            "content_weight": 1.0,
            "recon_weight": 0.05,
            "cross_weight": 1.0,
            "seed": 0,
            "cross_strategy": "no_skip",
            "lr": 1e-3,
            "batch": 4,
            "steps": STEPS,
        },
        facts={
            "parameters/model": 118_345,
            "optimizer/optimizer": "AdamW",
            "reliance/same/skips": 3.2,
            "environment/python": "3.11.7",
            "environment/torch": "2.9.0",
            "environment/device": "cpu",
            "exit/status": 0,
        },
        roles={"loss/loss": "training"},
        name="contrast notes",
    )


def treatments() -> tuple[Treatment, ...]:
    return (
        Treatment(
            "lower-content-weight",
            "lower-term-weight",
            {"weight/loss/content": "x0.05"},
            "the latent keeps its spread and the cross loss falls within 100 steps",
            ("COL004",),
        ),
        Treatment(
            "predict-other-code",
            "stop-gradient",
            {"cross_strategy": "predictor"},
            "the codes are matched by a predictor, which cannot shrink them",
            ("COL004",),
        ),
        Treatment(
            "use-source-skips",
            "restore-skips",
            {"cross_strategy": "source_skip"},
            "the decoder sees the anatomy again, whatever the latent holds",
            ("SKP001",),
        ),
        Treatment(
            "lower-learning-rate",
            "lower-learning-rate",
            {"lr": 3e-4},
            "slower collapse, no cure",
            ("OPT001",),
        ),
    )


def diagnosis() -> Diagnosis:
    it = run()
    reliance = Evidence.of_fact(it, "reliance/same/skips", ">", 2.0)
    collapse = Finding(
        "COL004",
        "model.encoder.to_latent",
        "model.encoder.to_latent spreads 0.1% of its start over the batch since step 74",
        (Evidence(it.series[LATENT], "<", 0.001, (74, STEPS - 1)),),
        "error",
    )
    plateau = Finding(
        "OPT004",
        "term/loss/cross",
        "cross has stayed within 5% of 0.541 since step 60",
        (Evidence(it.series["term/loss/cross"], ">", 0.45, (60, STEPS - 1)),),
    )
    skips = Finding(
        "SKP001", "same", "error of the same path grows 3.2-fold without its skips", (reliance,)
    )
    inert = Finding(
        "LOS002",
        "recon",
        "recon is 4% of the value of loss since step 30",
        (Evidence(it.series["share/loss/recon"], "<", 0.05, (60, STEPS - 1)),),
        "info",
    )
    unchecked = (
        Unchecked("GEN001", ("metric/val/loss",)),
        Unchecked("ADV001", ("loss/d*", "loss/g*")),
        Unchecked("ADV002", ("loss/d*", "loss/g*")),
        Unchecked("ACT001", ("activation/*",)),
    )
    return Diagnosis(it, (Cause(collapse, (plateau, skips)), Cause(inert)), unchecked)


def trial() -> Trial:
    rng = np.random.default_rng(1)
    arms, seeds = treatments(), (0, 1, 2, 3, 4)
    start = 10.6 + 0.3 * rng.standard_normal(len(seeds))
    gains = {"baseline": 0.0} | dict(
        zip((t.name for t in arms), (3.6, 2.2, 3.1, 0.02), strict=True)
    )
    spread = {"predict-other-code": 2.6, "lower-learning-rate": 0.05}
    outcomes = []
    for arm, gain in gains.items():
        for seed in seeds:
            noise = spread.get(arm, 0.3) * rng.standard_normal() * (arm != "baseline")
            psnr = float(start[seed] + gain + noise)
            codes = ("COL004", "OPT004") if arm in ("baseline", "lower-learning-rate") else ()
            outcomes.append(Outcome(arm, seed, {"psnr": psnr}, codes, seconds=12.0))
    plan = Plan(
        "psnr",
        {"content_weight": 1.0, "cross_strategy": "no_skip", "lr": 1e-3},
        arms,
        seeds,
        margin=0.2,
        unit="dB",
        finding="COL004",
    )
    numbers = (
        ("helped", 3.62, 3.1, 4.14, 0.0002, 5, None),
        ("undecided", 2.05, -0.8, 4.9, 0.11, 5, 4),
        ("helped", 3.05, 2.5, 3.6, 0.0004, 5, None),
        ("no difference", 0.02, -0.05, 0.09, 0.5, 0, None),
    )
    verdicts = tuple(
        Verdict(t, word, effect, low, high, 0.95, p, 5, lost, 5, more)
        for t, (word, effect, low, high, p, lost, more) in zip(arms, numbers, strict=True)
    )
    return Trial(plan, tuple(outcomes), verdicts)


def pictures() -> Pictures:
    rng = np.random.default_rng(2)

    def smooth() -> np.ndarray:
        rough = np.fft.rfft2(rng.standard_normal((48, 48)))
        far = np.hypot(np.fft.fftfreq(48)[:, None], np.fft.rfftfreq(48)[None])
        field = np.fft.irfft2(rough * np.exp(-((far * 18) ** 2)))
        return (field - field.min()) / np.ptp(field)

    def pixels(field: np.ndarray) -> np.ndarray:
        return (np.clip(field, 0, 1) * 255).astype(np.uint8)

    rows = []
    for _ in range(3):
        target = smooth()
        after = np.clip(target + 0.05 * rng.standard_normal(target.shape), 0, 1)
        rows.append(
            tuple(map(pixels, (1 - target, np.full((48, 48), target.mean()), after, target)))
        )
    return Pictures(
        ("input", "prediction before", "prediction after", "target"),
        tuple(rows),
        row_titles=("subject 31", "subject 32", "subject 33"),
        caption="Held-out subjects, only the input domain given.",
    )


NAMES = {
    "COL004": "collapsed-embedding",
    "OPT004": "loss-plateau",
    "SKP001": "skip-reliance",
    "LOS002": "inert-term",
    "GEN001": "overfitting",
    "ADV001": "saturated-discriminator",
    "ADV002": "starved-generator",
    "ACT001": "dead-units",
}
