"""Many runs -> one diagnosis each, on all cores, with what could not be read."""

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace

from unstuck.diagnose import diagnose
from unstuck.load import Place, read
from unstuck.policy import Policy, judged
from unstuck.records import Diagnosis, Run
from unstuck.source import UnreadableRunError

FEW = 24  # places: fewer are done before a second process has started
AT_A_TIME = 16  # places handed to a process at once


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What became of one place: its diagnoses, without the series they came from, or an error."""

    place: str
    diagnoses: tuple[Diagnosis, ...] = ()
    steps: tuple[int, ...] = ()  # the last step of each run
    reports: tuple[Mapping[str, object], ...] = ()
    error: str = ""


def survey(
    places: Sequence[Place],
    policy: Policy,
    *,
    reports: bool = False,
    jobs: int | None = None,
    done: Callable[[int], object] = lambda count: None,
) -> list[Surveyed]:
    """Diagnose every place; `done` hears how many more are finished. `reports` adds the JSON."""
    jobs = min(jobs or os.cpu_count() or 1, -(-len(places) // AT_A_TIME))
    found: list[Surveyed] = []
    for block in _blocks(places, policy, reports, jobs):
        found += block
        done(len(block))
    order = {place.name: i for i, place in enumerate(places)}
    return sorted(found, key=lambda s: order[s.place])


def _blocks(
    places: Sequence[Place], policy: Policy, reports: bool, jobs: int
) -> Iterator[list[Surveyed]]:
    if len(places) < FEW or jobs < 2:
        for place in places:
            yield _block([place], policy, reports)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context) as pool:
        waiting = [
            pool.submit(_block, places[i : i + AT_A_TIME], policy, reports)
            for i in range(0, len(places), AT_A_TIME)
        ]
        try:
            for future in as_completed(waiting):
                yield future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _block(places: Sequence[Place], policy: Policy, reports: bool) -> list[Surveyed]:
    return [_one(place, policy, reports) for place in places]


def _one(place: Place, policy: Policy, reports: bool) -> Surveyed:
    try:
        runs = read(place, policy.roles)
    except UnreadableRunError as error:
        return Surveyed(place.name, error=str(error))
    return surveyed(place.name, runs, policy, reports=reports)


def surveyed(place: str, runs: Iterable[Run], policy: Policy, *, reports: bool) -> Surveyed:
    """The diagnoses of the runs that were read at one place."""
    whole = [judged(diagnose(run), policy) for run in runs]
    told: tuple[Mapping[str, object], ...] = ()
    if reports:
        from unstuck.report import as_json

        told = tuple(as_json.to_dict(d) for d in whole)
    bare = tuple(replace(d, run=replace(d.run, series={})) for d in whole)
    return Surveyed(place, bare, tuple(d.run.last_step for d in whole), told)
