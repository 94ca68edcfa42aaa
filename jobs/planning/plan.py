"""A plan of nights: which must run and why, what each would extract, which rows may change, what waits for what.

It asks what the steps of a night ask (`jobs.clean`, `jobs.extraction.backlog`, `jobs.runtime.agreement`,
`jobs.runtime.completeness`), so that running the nights, the oldest first, does what it says. Nothing is written to
LAKE or RAW.
"""

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from jobs.planning.causes import Cause, LastRuns
from jobs.planning.foreseen import Change, Foreseen, changes, clean_aside
from jobs.planning.lacking import Extraction, Lacking
from jobs.planning.rates import Rates, records
from jobs.runtime.arrival import check_arrived, nights_landed
from jobs.runtime.night import Night, NightError
from lake.lake import Lake
from lake.local import LocalEngine
from schemas.features import FEATURES
from schemas.tables import Published

RUNS, COMPLETE, BLOCKED, FAILS = "runs", "complete", "blocked", "fails"
"""What becomes of a night: it must run; a run would change nothing; it must run, and waits before its training for a
night that the plan does not make; its first step would fail."""


@dataclass(frozen=True)
class NightPlan:
    """One night of a plan.

    Attributes:
        night: as `YYYY-MM-DD`.
        state: one of `RUNS`, `COMPLETE`, `BLOCKED` and `FAILS`.
        failure: why its first step would fail; None where it would not.
        causes: why it must run.
        rows_from: where its rows of items, interactions and given vectors are known from: `raw`, which was cleaned for
            the plan; `lake`, as the record files in RAW are those that its last run found; None where it fails.
        changes: how cleaning would change its rows; of `rows_from: lake` there are none.
        extractions: one an encoder, of a night that is made.
        seconds: name of every step that takes part → how long it would take by the rates of past nights; None where
            there is no rate.
        waits_for: earlier nights that must be complete before it can be trained, and are not, or run anew.
        blocked_by: those of them that the plan does not make.
    """

    night: str
    state: str
    failure: str | None = None
    causes: tuple[Cause, ...] = ()
    rows_from: str | None = None
    changes: tuple[Change, ...] = ()
    extractions: tuple[Extraction, ...] = ()
    seconds: Mapping[str, float | None] = field(default_factory=dict)
    waits_for: tuple[str, ...] = ()
    blocked_by: tuple[str, ...] = ()

    @property
    def made(self) -> bool:
        """Whether the plan cleans and extracts it."""
        return self.state in (RUNS, BLOCKED)

    @property
    def tables(self) -> dict[str, tuple[str, ...]]:
        """Table whose rows may change → by which causes; of a night that is made.

        The feature stores are those that lack something.
        """
        if not self.made:
            return {}
        named = tuple(cause.cause for cause in self.causes)
        found = {FEATURES[each.modality].name: named for each in self.extractions if each.contents}
        for cause in self.causes:
            for table in cause.tables:
                found[table] = (*found.get(table, ()), cause.cause)
        return {**found, Published.name: named}


@dataclass(frozen=True)
class Plan:
    """What running nights would do, the oldest first.

    Attributes:
        stale: complete nights after the last one that look back on nights that run, so that they must run again too.
    """

    nights: tuple[NightPlan, ...]
    stale: tuple[str, ...]


@dataclass(frozen=True)
class Wanted:
    """How nights are to be run, and how closely RAW is looked at.

    Attributes:
        everything: complete nights run too.
        again: what a night brings is extracted although the store has it.
        without_data, allow_shrinking: as the nightly DAG's parameters.
        reread: RAW is read for every night, media files too, even where its record files are those that the night's
            last run found.
    """

    everything: bool = False
    again: bool = False
    without_data: bool = False
    allow_shrinking: bool = False
    reread: bool = False


def plan(first: Night, last: date, wanted: Wanted) -> Plan:
    """Return the plan for the nights from `first` to `last`, both included.

    Raises:
        LandingZoneError: RAW does not exist.
        DamageError, LakeError: a table that is read is damaged.
    """
    nights = [replace(first, date=first.date + timedelta(n)) for n in range((last - first.date).days + 1)]
    with tempfile.TemporaryDirectory(prefix="nightweave-plan-") as folder, LocalEngine.open() as engine:
        runs, aside = LastRuns(first), Lake(folder)
        failures = _cleaned(engine, nights, runs, aside, wanted)
        found = list(_states(engine, nights, runs, aside, failures, everything=wanted.everything))
        planned = list(_extractions(engine, nights, found, aside, again=wanted.again))
    later = [day for day in runs.complete if day > planned[-1].night and any(each.made for each in planned)]
    return Plan(tuple(planned), tuple(sorted(later)))


def _cleaned(
    engine: LocalEngine, nights: Sequence[Night], runs: LastRuns, aside: Lake, wanted: Wanted
) -> dict[date, str | None]:
    """Clean nights into the lake aside, but for those of which cleaning would find what it found before.

    Returns: the nights that were to be cleaned, each with why its first step would fail; None where it would not.
    """
    failures: dict[date, str | None] = {}
    for night in nights:
        try:
            check_arrived(night, without_data=wanted.without_data)
            if wanted.reread or not runs.cleaned_alike(night):
                clean_aside(engine, night, aside, allow_shrinking=wanted.allow_shrinking)
                failures[night.date] = None
        except NightError as error:
            failures[night.date] = str(error)
    return failures


def _states(
    engine: LocalEngine,
    nights: Sequence[Night],
    runs: LastRuns,
    aside: Lake,
    failures: Mapping[date, str | None],
    *,
    everything: bool,
) -> Iterator[NightPlan]:
    """Yield the nights as planned, without what they extract."""
    landed, made, blocked = nights_landed(nights[0]), list[str](), set[str]()
    changed = changes(engine, nights[0].lake, aside, [day for day, why in failures.items() if why is None])
    for night in nights:
        waits = tuple(day for day in landed if day < night.ds and (day in made or day not in runs.complete))
        outside = tuple(day for day in waits if day in blocked or day not in made)
        if why := failures.get(night.date):
            yield NightPlan(night.ds, FAILS, failure=why, waits_for=waits, blocked_by=outside)
            continue
        known = NightPlan(night.ds, COMPLETE, rows_from="raw" if night.date in failures else "lake")
        known = replace(known, changes=tuple(changed.get(night.date, ())))
        causes = tuple(runs.causes(night, known.changes, earlier=made))
        if everything and not causes:
            causes = (Cause("asked", "all nights are to run", ()),)
        if not causes:
            yield known
            continue
        made.append(night.ds)
        blocked |= {night.ds} if outside else set()
        state = BLOCKED if outside else RUNS
        yield replace(known, state=state, causes=causes, waits_for=waits, blocked_by=outside)


def _extractions(
    engine: LocalEngine, nights: Sequence[Night], found: Sequence[NightPlan], aside: Lake, *, again: bool
) -> Iterator[NightPlan]:
    """Yield the nights with what they extract and how long their steps take."""
    made = [each for each in found if each.made]
    lake = Foreseen(
        nights[0].lake.uri,
        aside=aside,
        cleaned=frozenset(date.fromisoformat(each.night) for each in made if each.rows_from == "raw"),
        run=frozenset(date.fromisoformat(each.night) for each in made),
    )
    lacking = Lacking(engine, nights[0].config, again=again)
    rates = Rates(nights[0].lake, lacking.encoders)
    read = {**records(nights[0].lake), **records(aside)}
    for night, each in zip(nights, found, strict=True):
        if not each.made:
            yield each
            continue
        extractions = tuple(lacking.of(replace(night, lake=lake)))
        amounts = Counter({"clean": read.get(night.date, 0)})
        for extraction in extractions:
            amounts[f"extract_{extraction.modality}"] += extraction.contents
        yield replace(each, extractions=extractions, seconds=rates.seconds(amounts))
