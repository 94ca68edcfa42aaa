"""Why a night must run: what has changed since its last run, and whose rows may change by it."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.planning.foreseen import Change
from jobs.runtime import agreement, completeness
from jobs.runtime.agreement import Difference
from jobs.runtime.arrival import landed
from jobs.runtime.night import Night
from lake import provenance, publication, staging
from schemas.features import GIVEN
from schemas.tables import BY_NIGHT, LOOKED_BACK_ON, Explanations, Ledger, Recommendations, SimilarItems

ARRIVALS = tuple(table.name for table in LOOKED_BACK_ON)
SHELVES = (Explanations.name, Recommendations.name, SimilarItems.name)
ALL = tuple(table.name for table in BY_NIGHT)
AFTER_CLEANING = tuple(name for name in ALL if name not in ARRIVALS)
BY_SECTION = {
    "events": ALL,
    "clean": ALL,
    "extract": AFTER_CLEANING,
    "fusion": AFTER_CLEANING,
    "evaluate": AFTER_CLEANING,
    "recommend": (Ledger.name, *SHELVES),
}
"""Sections of the configuration → the tables whose rows depend on them, but for the feature stores, which get what they
lack and nothing else."""
CLEANED_BY = ("events", "clean")
"""The sections on which cleaned rows depend."""
KINDS = {"config": "configuration", "encoders": "encoder", "code": "code"}
"""Where a difference lies → the cause that it is."""


@dataclass(frozen=True)
class Cause:
    """Why a night must run.

    Attributes:
        cause: `never_run`, `unfinished`, `unknown`, `raw`, `configuration`, `encoder`, `code`, `earlier_night` or
            `asked`.
        detail: in words.
        tables: whose rows may change by it; the feature stores are not among them.
    """

    cause: str
    detail: str
    tables: tuple[str, ...]


class LastRuns:
    """What the lake tells of the runs of nights.

    Args:
        night: one of them; all have its lake and its configuration.

    Attributes:
        complete: the nights that are, as `YYYY-MM-DD`.
    """

    def __init__(self, night: Night) -> None:
        self._lake, self._now = night.lake, agreement.now(night)
        self.complete = completeness.complete(self._lake)
        self._staged = set(staging.nights(self._lake))
        self._cleaned = {str(day) for day in self._lake.files(Ledger)["partition.date"].to_pylist()}
        self._history = publication.history(self._lake)

    def cleaned_alike(self, night: Night) -> bool:
        """Whether cleaning would find the record files that made the night's rows, under the code and the settings that
        made them; media files are not looked at."""
        record = self._recorded(night)
        if record is None or record.get("raw") != landed(night):
            return False
        return not any(map(_cleans, agreement.differences(record, self._now)))

    def causes(self, night: Night, changes: Sequence[Change], *, earlier: Sequence[str]) -> Iterator[Cause]:
        """Yield why a night must run; nothing where a run would give the rows that are there.

        Args:
            changes: how cleaning would change its rows.
            earlier: nights before it that run.
        """
        cleaned = {change.table for change in changes}
        everything = _possible(ALL, cleaned)
        if night.ds not in self.complete:
            yield Cause(*self._not_complete(night), everything)
            return
        record, words = self._recorded(night), "; ".join(map(str, changes))
        if record is None:
            why = "under which configuration and code it was made is not recorded"
            yield Cause("unknown", f"{why}; {words}" if words else why, everything)
        else:
            differ = agreement.differences(record, self._now)
            # what else may be why cleaned rows differ is named below
            if changes and not (any(map(_cleans, differ)) and record.get("raw") in (None, landed(night))):
                yield Cause("raw", words, everything)
            yield from _of_differences(differ, cleaned)
        if earlier:
            yield Cause("earlier_night", f"it looks back on {', '.join(earlier)}", AFTER_CLEANING)
        elif replaced := provenance.replaced_since(self._lake, night=night.ds).to_pylist():
            rows = ", ".join(f"{each['source']} of {each['arrived']}" for each in replaced)
            yield Cause("earlier_night", f"replaced since it was made: {rows}", AFTER_CLEANING)

    def _not_complete(self, night: Night) -> tuple[str, str]:
        if night.ds in self._staged:
            return "unfinished", "a run of it has begun and is not published"
        if night.ds in self._cleaned:
            return "unfinished", "the lake has rows of it, but not of its last step"
        return "never_run", "the lake has nothing of it"

    def _recorded(self, night: Night) -> dict[str, Any] | None:
        """What the run recorded that made what is published of a night; None where that is not known: it is not
        complete, a later run has begun, or it was rolled back, or shown again after that."""
        if night.ds in self._staged or night.ds not in self.complete:
            return None
        of_night = [change for change in self._history if change.date == night.date]
        if of_night:
            *before, last = of_night
            if last.action != publication.PUBLISH or any(each.partitions == last.partitions for each in before):
                return None
        return agreement.recorded(night)


def _cleans(difference: Difference) -> bool:
    """Whether cleaned rows may be others because of it."""
    match difference.place.split("."):
        case ["code"]:
            return True
        case ["config", "extract", "encoders", *_]:  # which vectors are given, and how wide they are
            return any(f"'{GIVEN}'" in repr(side) for side in (difference.before, difference.now))
        case ["config", section, *_]:
            return section in CLEANED_BY
    return False


def _of_differences(differences: Sequence[Difference], cleaned: Collection[str]) -> Iterator[Cause]:
    """Yield the causes that differences are, one a kind."""
    for kind, cause in KINDS.items():
        ours = [each for each in differences if each.place.split(".")[0] == kind]
        tables = dict.fromkeys(name for each in ours for name in _depending_on(each))
        if ours:
            yield Cause(cause, "; ".join(map(str, ours)), _possible(tables, cleaned))


def _depending_on(difference: Difference) -> tuple[str, ...]:
    match difference.place.split("."):
        case ["code"]:
            return ALL
        case ["encoders", *_]:
            return AFTER_CLEANING
        case ["config", section, *_]:
            return BY_SECTION[section]
    raise ValueError(f"{difference.place!r} is no place of {', '.join(KINDS)}")


def _possible(tables: Collection[str], cleaned: Collection[str]) -> tuple[str, ...]:
    """The tables without those of arrivals that were found to stay as they are."""
    return tuple(name for name in tables if name not in ARRIVALS or name in cleaned)
