"""A plan as JSON, and as a table for people."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from jobs.planning.plan import NightPlan, Plan
from schemas.table import MEDIA

UNKNOWN = "unknown"
HEAD = ("night", "state", *MEDIA, "seconds", "waits for", "why")


def as_json(plan: Plan) -> str:
    """One JSON document; its fields are described in docs/howto/backfill.md."""
    return json.dumps(as_data(plan), indent=1, ensure_ascii=False)


def as_data(plan: Plan) -> dict[str, Any]:
    """The plan as dicts, lists, strings, numbers and null."""
    made = [night for night in plan.nights if night.made]
    return {
        "from": plan.nights[0].night,
        "to": plan.nights[-1].night,
        "nights": [_night(night) for night in plan.nights],
        "stale": list(plan.stale),
        "totals": {
            "nights": len(made),
            "contents": _contents(made),
            "seconds": _total(seconds for night in made for seconds in night.seconds.values()),
        },
    }


def as_table(plan: Plan) -> str:
    """A line a night, then what there is to say of each that runs or fails, for a terminal."""
    data = as_data(plan)
    rows = [HEAD, *(_row(night) for night in plan.nights)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    for night in plan.nights:
        lines += _details(night)
    totals = data["totals"]
    contents = ", ".join(f"{medium} {count:,}" for medium, count in totals["contents"].items())
    nights = f"{totals['nights']} of {len(plan.nights)} nights run"
    lines += ["", f"{nights}; contents to extract: {contents}; seconds: {_seconds(totals['seconds'])}"]
    if plan.stale:
        lines.append(f"to run again after them, as they look back on nights that run: {', '.join(plan.stale)}")
    return "\n".join(lines)


FORMATS: Mapping[str, Callable[[Plan], str]] = {"table": as_table, "json": as_json}


def _night(night: NightPlan) -> dict[str, Any]:
    return {
        "night": night.night,
        "state": night.state,
        "failure": night.failure,
        "causes": [{"cause": each.cause, "detail": each.detail} for each in night.causes],
        "rows_from": night.rows_from,
        "changes": [asdict(change) for change in night.changes],
        "extractions": [asdict(each) for each in night.extractions],
        "seconds": dict(night.seconds),
        "tables": {table: list(causes) for table, causes in night.tables.items()},
        "waits_for": list(night.waits_for),
        "blocked_by": list(night.blocked_by),
    }


def _row(night: NightPlan) -> tuple[str, ...]:
    counts = _contents([night])
    contents = [f"{counts[medium]:,}" if night.made else "" for medium in MEDIA]
    seconds = _seconds(_total(night.seconds.values())) if night.made else ""
    why = ", ".join(cause.cause for cause in night.causes)
    return (night.night, night.state, *contents, seconds, _nights(night.waits_for), why)


def _details(night: NightPlan) -> Iterator[str]:
    if not night.made and night.failure is None:
        return
    yield ""
    yield f"{night.night} {night.state}"
    if night.failure is not None:
        yield f"  {night.failure}"
        return
    for cause in night.causes:
        yield f"  {cause.cause}: {cause.detail}"
    if night.blocked_by:
        yield f"  is not trained before these are complete, which this plan does not make: {_nights(night.blocked_by)}"
    if night.changes:
        yield f"  rows: {'; '.join(map(str, night.changes))}"
    for each in night.extractions:
        if each.contents or each.again_if_refused:
            late = each.contents - each.arriving
            earlier = f", {late:,} of them of earlier nights" if late else ""
            again = f"; {each.again_if_refused:,} more if they are refused before" if each.again_if_refused else ""
            yield f"  extracts {each.modality} under {each.encoder}: {each.contents:,}{earlier}{again}"
    known = any(each is not None for each in night.seconds.values())
    steps = [f"{step} {_seconds(each)}" for step, each in night.seconds.items()] if known else [UNKNOWN]
    yield f"  seconds: {', '.join(steps)}"
    by_causes: dict[tuple[str, ...], list[str]] = {}
    for table, causes in night.tables.items():
        by_causes.setdefault(causes, []).append(table)
    for causes, tables in by_causes.items():
        yield f"  may change by {', '.join(causes)}: {', '.join(tables)}"


def _contents(nights: Iterable[NightPlan]) -> dict[str, int]:
    counts: dict[str, int] = dict.fromkeys(MEDIA, 0)
    for night in nights:
        for each in night.extractions:
            counts[each.modality] += each.contents
    return counts


def _nights(nights: Sequence[str]) -> str:
    return nights[0] if len(nights) == 1 else f"{len(nights)} nights from {nights[0]}" if nights else "-"


def _total(seconds: Iterable[float | None]) -> float | None:
    """The sum, None where one is not known."""
    known = list(seconds)
    return None if None in known else sum(each for each in known if each is not None)


def _seconds(seconds: float | None) -> str:
    return UNKNOWN if seconds is None else f"{seconds:,.0f}"
