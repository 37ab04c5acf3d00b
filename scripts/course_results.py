"""What the runs of the course say: spread, margin over the baseline, harm of faults, diagnoses."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

import unstuck
from unstuck import UnreadableRunError, catalog
from unstuck.cases.course import item
from unstuck.detector import Detector
from unstuck.trials.judge import Sample
from unstuck.vocabulary import meaning_of

if TYPE_CHECKING:
    from course import Job

HEALTHY = "healthy"


@dataclass(frozen=True, slots=True)
class Form:
    """All seeds of one form of an item: metrics by seed, alarms by seed, where the runs lie."""

    name: str
    metrics: dict[int, dict[str, float]]
    named: dict[int, tuple[str, ...]]  # codes of warnings and errors, the first cause first
    folders: dict[int, Path]
    errors: dict[int, str]

    def values(self, metric: str) -> np.ndarray:
        return np.array([m.get(metric, math.nan) for _, m in sorted(self.metrics.items())])


@dataclass(frozen=True, slots=True)
class Item:
    """An item with its healthy form and its faults."""

    name: str
    module: ModuleType
    healthy: Form
    faults: dict[str, Form]

    @property
    def margins(self) -> np.ndarray:
        """By how much METRIC beats the baseline, by seed."""
        sign = 1 if self.module.HIGHER_IS_BETTER else -1
        healthy = self.healthy
        return sign * (healthy.values(self.module.METRIC) - healthy.values("baseline"))

    @property
    def beats(self) -> int:
        """Seeds in which it beats the baseline by the stated margin."""
        return int((self.margins >= self.module.MARGIN).sum())

    def harm(self, fault: str) -> tuple[float, float, float]:
        """Mean and 95 % interval of what the fault does over seeds, positive = as stated."""
        stated = self.module.FAULTS[fault]
        metric = stated.symptom or self.module.METRIC
        better_up = self.module.HIGHER_IS_BETTER if not stated.symptom else stated.falls
        before, after = self.healthy.values(metric), self.faults[fault].values(metric)
        if not np.isfinite(before).all() or len(before) != len(after):
            return math.nan, math.nan, math.nan
        if not np.isfinite(after).all():  # no number is the worst one
            lost = np.isnan(after) | np.isinf(after)
            return (math.inf,) * 3 if lost.all() else (math.nan,) * 3
        difference = (before - after) if better_up else (after - before)
        seedless = not np.ptp(before) and not np.ptp(after)
        sample = Sample(difference, seedless)
        if seedless and difference.any():  # the same for every seed: nothing to estimate
            return (float(difference[0]),) * 3
        return (sample.effect, *sample.interval(0.05))

    @property
    def seconds(self) -> float:
        """Processor seconds of the slowest healthy seed."""
        return float(np.nanmax(self.healthy.values("seconds")))

    def known_codes(self, fault: str) -> list[str]:
        """The fault's codes that have a detector; not those that only a probe can tell of."""
        there = {d.code for d in catalog.detectors() if not _of_a_probe(d)}
        return [code for code in self.module.FAULTS[fault].codes if code in there]

    def named_first(self, fault: str) -> int:
        codes = self.module.FAULTS[fault].codes
        return sum(bool(n) and n[0] in codes for n in self.faults[fault].named.values())


def _of_a_probe(detector: Detector) -> bool:
    found = [meaning_of(pattern.replace("*", "x")) for pattern in detector.needs_facts]
    return any(entry and entry.written_by.startswith("probe") for entry in found)


def results_of(jobs: "list[Job]") -> list[Item]:
    found = []
    for name in dict.fromkeys(job.item for job in jobs):
        forms: dict[str, Form] = {}
        for job in jobs:
            if job.item != name:
                continue
            form = forms.setdefault(job.form, Form(job.form, {}, {}, {}, {}))
            kept = json.loads(job.result.read_text())
            form.folders[job.seed] = job.folder
            if "error" in kept:
                form.errors[job.seed] = kept["error"]
            form.metrics[job.seed] = kept.get("metrics", {})
            form.named[job.seed] = named(job.folder / "run")
        healthy = forms.pop(HEALTHY)
        found.append(Item(name, item.load(name), healthy, forms))
    return found


def named(folder: Path) -> tuple[str, ...]:
    try:
        run = unstuck.load(folder)
    except UnreadableRunError:  # nothing was trained by gradients: nothing to diagnose
        return ()
    assert isinstance(run, unstuck.Run)
    causes = unstuck.diagnose(run).causes
    return tuple(c.finding.code for c in causes if c.finding.severity != "info")


def print_table(results: list[Item], console: Console) -> None:
    table = Table(
        "item", "form", "metric", "baseline / harm", "seconds", "named (seeds)", "verdict"
    )
    for one in results:
        metric, healthy = one.module.METRIC, one.healthy
        said = _spread(healthy.values(metric))
        base = _spread(healthy.values("baseline"))
        beats = f"beats in {one.beats}/{len(one.margins)}"
        table.add_row(one.name, f"{metric}", said, base, _seconds(healthy), _named(healthy), beats)
        for name, form in one.faults.items():
            stated = one.module.FAULTS[name]
            effect, low, high = one.harm(name)
            verdict = "hurts" if low > 0 else "NOT SHOWN"
            if stated.codes:
                verdict += f", {'/'.join(stated.codes)} {one.named_first(name)}/{len(form.named)}"
            table.add_row(
                "", name, _spread(form.values(stated.symptom or metric)),
                f"{effect:.3g} ({low:.3g} to {high:.3g})", _seconds(form), _named(form), verdict,
            )  # fmt: skip
        for form in (healthy, *one.faults.values()):
            for seed, error in form.errors.items():
                console.print(f"[red]{one.name} {form.name} {seed}:[/red] {error}", markup=True)
    console.print(table)


def print_summary(results: list[Item], console: Console) -> None:
    """How the whole course stands against what it promises."""
    faults = [(one, fault) for one in results for fault in one.faults]
    known = [(one, fault) for one, fault in faults if one.known_codes(fault)]
    sick = sum(len(one.faults[fault].named) for one, fault in known)
    named = sum(one.named_first(fault) for one, fault in known)
    healthy = [codes for one in results for codes in one.healthy.named.values()]
    console.print(
        f"{sum(one.beats == len(one.margins) for one in results)} of {len(results)} items beat the "
        f"trivial answer by their margin in every seed\n"
        f"{sum(one.harm(fault)[1] > 0 for one, fault in faults)} of {len(faults)} faults shown\n"
        f"{sum(map(bool, healthy))} of {len(healthy)} healthy runs warned of\n"
        f"{named} of {sick} sick runs named first, where the code has a detector\n"
        f"slowest healthy run: {max(one.seconds for one in results):.0f} s of one core"
    )


def _spread(values: np.ndarray) -> str:
    return f"{values.mean():.4g} +- {values.std(ddof=1) if len(values) > 1 else 0:.2g}"


def _seconds(form: Form) -> str:
    return f"{np.nanmax(form.values('seconds')):.1f}"


def _named(form: Form) -> str:
    counts: dict[str, int] = {}
    for codes in form.named.values():
        for place, code in enumerate(codes):
            label = code if place == 0 else code.lower()
            counts[label] = counts.get(label, 0) + 1
    return " ".join(f"{code}:{n}" for code, n in counts.items()) or "-"
