"""The study's outcomes as Markdown. Intervals are 95 %, over seeds; differences pair the seeds.

A difference is bold where its interval excludes zero. A verdict is the trial's own: its interval is
Holm-corrected over all arms of the trial, and so is wider.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from unstuck import Trial, Verdict, case_options
from unstuck.cases.agch.methods import BASELINES, UNCOMPRESSED
from unstuck.cases.agch.study_arms import (
    ABLATION,
    BEST,
    BEYOND,
    CLAIMS,
    FIRST,
    FORMS,
    NOTES,
    PUBLISHED,
)
from unstuck.cases.agch.train import AT, METRIC

Floats = NDArray[np.float64]
Column = Mapping[str, Floats]  # a figure by method, a number for each seed

CONFIDENCE = 0.95
WAYS = ("image_to_text", "text_to_image")
DEPTHS = {"@all": METRIC, f"@{AT}": f"map_{AT}"}
BASELINE = "baseline"
ABLATED = f"map_{AT}_image_to_text"


def by_seed(trial: Trial, arm: str, metric: str = METRIC) -> Floats:
    """The metric of an arm's runs, in the order of the seeds; NaN where a run failed."""
    found = {o.seed: o.metrics.get(metric, np.nan) for o in trial.outcomes if o.arm == arm}
    return np.array([found.get(seed, np.nan) for seed in trial.plan.seeds])


def arm_of(method: str, bits: int) -> str:
    """The arm of a form or baseline at a length; features have none, two are their trials' own
    baseline.
    """
    if method in UNCOMPRESSED:
        return method
    return BASELINE if (method, bits) in FIRST else f"{method} {bits}"


def limits(values: Floats) -> tuple[float, float, float]:
    """Mean and its t interval, NaN for two of them where there are not two finite numbers."""
    mean = float(values.mean())
    if len(values) < 2 or not np.isfinite(values).all():
        return mean, np.nan, np.nan
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * stats.sem(values))
    return mean, mean - half, mean + half


def interval(values: Floats) -> str:
    """Mean and its t interval, ".441 (.432 to .450)" with a leading zero."""
    mean, low, high = limits(values)
    return f"{mean:.3f}" if np.isnan(low) else f"{mean:.3f} ({low:.3f} to {high:.3f})"


def difference(values: Floats) -> str:
    """The same with a sign; bold where the interval excludes zero."""
    mean, low, high = limits(values)
    if np.isnan(low):
        return f"{mean:+.3f}"
    shown = f"{mean:+.3f} ({low:+.3f} to {high:+.3f})"
    return f"**{shown}**" if low > 0 or high < 0 else shown


def sizes(trial: Trial) -> str:
    """Queries and database of a trial's runs, as they were measured."""
    spans = []
    for name in ("queries", "database"):
        found = [o.metrics[name] for o in trial.outcomes if name in o.metrics]
        least, most = (int(f(found)) if found else 0 for f in (min, max))
        spans.append(f"{least}" if least == most else f"{least} to {most}")
    return f"{spans[0]} queries, database {spans[1]}"


def length_tables(learnt: Trial, others: Trial, lengths: Sequence[int], bits: int) -> Iterator[str]:
    """mAP by method and bits at each depth and direction, then what separates the repaired form."""
    for depth, key in DEPTHS.items():
        for way in WAYS:
            yield f"\nmAP{depth}, {way.replace('_', ' ')}; {sizes(learnt)}.\n"
            found = _by_method(learnt, others, lengths, f"{key}_{way}")
            shown = {
                name: {n: interval(values) for n, values in row.items()}
                for name, row in found.items()
            }
            yield from _rows(lengths, shown)
    for depth, key in DEPTHS.items():
        yield f"\n`repaired` less each other, mAP{depth}, mean of both directions.\n"
        found = _by_method(learnt, others, lengths, key)
        own = found.pop("repaired")
        less = {
            name: {n: difference(own[n] - values) for n, values in row.items()}
            for name, row in found.items()
        }
        yield from _rows(lengths, less)
    yield f"\n`repaired` at {bits} bits as a share of what the uncompressed features give.\n"
    yield from bound_table(learnt, others, bits)


def _by_method(
    learnt: Trial, others: Trial, lengths: Sequence[int], key: str
) -> dict[str, dict[int, Floats]]:
    """A figure of every form and baseline: method, bits, seeds."""
    found = {form: {n: by_seed(learnt, arm_of(form, n), key) for n in lengths} for form in BEST}
    for name in BASELINES:
        found[name] = {n: by_seed(others, arm_of(name, n), key) for n in lengths}
    return found


def _rows(lengths: Sequence[int], rows: Mapping[str, Mapping[int, str]]) -> Iterator[str]:
    yield f"| | {' | '.join(f'{n} bits' for n in lengths)} |\n|---|{'---|' * len(lengths)}"
    for name, row in rows.items():
        yield f"| {name} | {' | '.join(row[n] for n in lengths)} |"


def bound_table(learnt: Trial, others: Trial, bits: int) -> Iterator[str]:
    """Ratios by seed to either bound, for both depths, mean of both directions."""
    yield f"| | {' | '.join(UNCOMPRESSED)} |\n|---|{'---|' * len(UNCOMPRESSED)}"
    for depth, key in DEPTHS.items():
        own = by_seed(learnt, arm_of("repaired", bits), key)
        shares = (interval(own / by_seed(others, name, key)) for name in UNCOMPRESSED)
        yield f"| mAP{depth} | {' | '.join(shares)} |"


def arm_table(trial: Trial, name: str) -> Iterator[str]:
    """Baseline and every arm with its verdict, then how healthy its codes are."""
    bits = trial.plan.baseline["bits"]
    yield f"{bits} bits, {sizes(trial)}; mAP is the mean of both directions.\n"
    yield (
        f"| | mAP@all | effect | verdict | mAP@{AT} | distinct codes | bits that partners differ in"
        " | named first |\n|---|---|---|---|---|---|---|---|"
    )
    yield _row(trial, BASELINE, f"**{name}**", "", "")
    for verdict in trial.verdicts:
        arm = verdict.treatment.name
        yield _row(trial, arm, arm, effect(verdict), verdict.word)


def effect(verdict: Verdict) -> str:
    return f"{verdict.effect:+.3f} ({verdict.low:+.3f} to {verdict.high:+.3f})"


def _row(trial: Trial, arm: str, shown: str, gain: str, word: str) -> str:
    unique, paired = (by_seed(trial, arm, key).mean() for key in ("unique", "paired"))
    return (
        f"| {shown} | {interval(by_seed(trial, arm))} | {gain} | {word} | "
        f"{interval(by_seed(trial, arm, f'map_{AT}'))} | {unique:.0%} | {paired:.0%} | "
        f"{case_options.named_first(trial, arm)} |"
    )


def ablation_table(trial: Trial) -> Iterator[str]:
    """The published table beside ours, and the arms that it does not have."""
    bits = trial.plan.baseline["bits"]
    yield (
        f"`paper` at {bits} bits, image to text, mAP@{AT}. Ours: {sizes(trial)}. Published: 16 bits"
        " on MIRFlickr-25K, 2,000 queries; another set, so that only directions compare.\n"
    )
    yield "| | ours | less the whole | published | less the whole |\n|---|---|---|---|---|"
    whole = by_seed(trial, BASELINE, ABLATED)
    yield f"| **whole** | {interval(whole)} | | {PUBLISHED[BASELINE]:.3f} | |"
    for arm in (a for a in (*ABLATION, *BEYOND) if a in _arms(trial)):
        values = by_seed(trial, arm, ABLATED)
        yield f"| {arm} | {interval(values)} | {difference(values - whole)} | {_published(arm)} |"


def _published(arm: str) -> str:
    if arm not in PUBLISHED:
        return "| "
    return f"{PUBLISHED[arm]:.3f} | {PUBLISHED[arm] - PUBLISHED[BASELINE]:+.3f}"


def _arms(trial: Trial) -> set[str]:
    return {treatment.name for treatment in trial.plan.treatments}


def gap_tables(learnt: Trial, others: Trial, bits: int) -> Iterator[str]:
    """Protocol and method apart: every form at both depths, on bits and on real codes."""
    yield f"{bits} bits, {sizes(learnt)}; mean of both directions.\n"
    yield (
        f"| | @all | @{AT} | @{AT} less @all | @all, real codes | @{AT}, real codes |\n"
        "|---|---|---|---|---|---|"
    )
    rows = [(others, arm_of(name, bits), name) for name in ("random", "constant")]
    rows += [(learnt, arm, name) for name, arm in gap_arms().items()]
    for trial, arm, name in rows:
        values = [by_seed(trial, arm, key) for key in DEPTHS.values()]
        real = [by_seed(trial, arm, f"real_{key}") for key in DEPTHS.values()]
        cells = [*map(interval, values), difference(values[1] - values[0]), *map(interval, real)]
        yield f"| {name} | {' | '.join('' if c == 'nan' else c for c in cells)} |"
    yield ""
    yield gap_sentence(learnt)


def gap_arms() -> dict[str, str]:
    """The forms in the order of the story; the notes are the baseline of their trial."""
    return {form: BASELINE if form == "notes" else form for form in FORMS[::-1]}


def gap_sentence(learnt: Trial) -> str:
    """What depth, real codes and method are worth on our data, beside the published gap."""
    at = f"map_{AT}"
    notes, deep = by_seed(learnt, BASELINE), by_seed(learnt, BASELINE, at)
    paper, repaired = (by_seed(learnt, form, at) for form in ("paper", "repaired"))
    published = PUBLISHED[BASELINE] - NOTES
    return (
        f"The published gap is {PUBLISHED[BASELINE]:.3f} (mAP@{AT}) less {NOTES:.3f} (mAP@all), "
        f"{published:+.3f}. On our data the depth alone moves the codes of `notes` by "
        f"{difference(deep - notes)}; real codes instead of bits move their mAP@all by "
        f"{difference(by_seed(learnt, BASELINE, 'real_map') - notes)}; at one depth, mAP@{AT} on "
        f"bits, `paper` less `notes` is {difference(paper - deep)} and `repaired` less `notes` "
        f"{difference(repaired - deep)}."
    )


def claim_table(trials: Mapping[str, Trial]) -> Iterator[str]:
    """Every claim with the arms that test it: what they changed, by how much, the verdict."""
    yield "| claim | of | change | effect on mAP@all | verdict |\n|---|---|---|---|---|"
    for claim, (said, tests) in CLAIMS.items():
        first = f"{claim} {said}"
        for trial, arm in tests:
            found = {v.treatment.name: v for v in trials[trial].verdicts}
            if arm in found:
                of = f"{trials[trial].plan.name.removeprefix('agch-')}"
                yield f"| {first} | {of} | {arm} | {effect(found[arm])} | {found[arm].word} |"
                first = ""
