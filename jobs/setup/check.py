"""What a night would refuse of a landing zone, without a night: cleaning's own reading, judged and shown."""

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from jobs.clean import (
    Normalise,
    Parsed,
    Reading,
    counted,
    parsed_interactions,
    parsed_items,
    parsed_vectors,
    reading_interactions,
    reading_items,
    with_media_keys,
)
from jobs.landing.raw import Raw, Refusal
from jobs.runtime.arrival import check_arrived
from jobs.runtime.ledger import too_many
from jobs.runtime.night import Night, NightError, day_of
from lake.lake import Lake
from lake.local import LocalEngine, LocalRows
from schemas.config import Config
from schemas.errors import did_you_mean
from schemas.table import MEDIA

FATES = "SELECT fate, CAST(sum(coalesce(rows, 1)) AS BIGINT) AS n FROM {rows} WHERE fate <> 'file' GROUP BY fate"
WORDS = {"kept": "kept", "refused": "refused", "duplicate": "duplicates", "superseded": "superseded"}
EXAMPLES = 3
"""Records that are shown of each reason."""
BETWEEN = "\x1f"
"""Stands between the reasons, and the details, of a record that is refused for several."""
REFUSED = f"""
    WITH single AS (
        SELECT source, position, record_id, rows, unnest(string_split(reason, chr(31))) AS reason,
            unnest(string_split(detail, chr(31))) AS detail
        FROM {{rows}} WHERE fate = 'refused'),
    counted AS (
        SELECT *, sum(coalesce(rows, 1)) OVER (PARTITION BY reason) AS n,
            row_number() OVER (PARTITION BY reason ORDER BY source, position) AS example
        FROM single)
    SELECT * FROM counted WHERE example <= {EXAMPLES} ORDER BY n DESC, reason, example
"""
REFUSED_MEDIA = f"""
    WITH each AS (SELECT item_id, unnest(media_refusals) AS found FROM {{rows}}),
    counted AS (
        SELECT item_id AS record_id, found.reason AS reason, found.detail AS detail,
            count(*) OVER (PARTITION BY found.reason) AS n,
            row_number() OVER (PARTITION BY found.reason ORDER BY found.uri, item_id) AS example
        FROM each)
    SELECT * FROM counted WHERE example <= {EXAMPLES} ORDER BY n DESC, reason, example
"""


@dataclass
class Report:
    """What was found.

    Attributes:
        lines: for people.
        failures: why the night would fail, a sentence each; empty where it would not.
    """

    lines: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def check_landing_zone(raw: str, *, date_: str, config: Config, media: bool = True) -> Report:
    """Read what a night would read of RAW, and say what it would refuse: for each reason how many records and the
    first of them, columns that are not known, media that are missing, and whether the night would fail.

    A record is judged column by column, so that all of its faults are counted, not the first alone. Nothing is written.

    Args:
        media: whether the files that items point to are read, too.

    Raises:
        UserError: the date is none.
        LandingZoneError: RAW does not exist.
    """
    report = Report()
    with tempfile.TemporaryDirectory(prefix="nightweave-check-") as folder, LocalEngine.open() as engine:
        night = Night(day_of(date_), Raw(raw, config.clean.record_files), Lake(folder), config)
        try:
            check_arrived(night)
        except NightError as error:
            report.failures.append(str(error))
        for parsed, reading in _all_parsed(engine, night):
            _look(report, night, parsed, reading)
            if parsed.table.name == "items" and media:
                _look_at_media(report, night, parsed)
    return report


def _all_parsed(engine: LocalEngine, night: Night) -> Iterator[tuple[Parsed, Reading | None]]:
    events = night.config.events.weights
    items, interactions = reading_items(night), reading_interactions(night)
    event = {"user_id": "u", "item_id": "i", "timestamp": night.ds, "event": next(iter(events), "")}
    items = replace(items, normalise=_by_column(items.normalise, {"item_id": "i"}, items.columns.fields))
    each = _by_column(interactions.normalise, event, interactions.columns.fields)
    interactions = replace(interactions, normalise=each)
    yield parsed_items(engine, night, items), items
    yield parsed_interactions(engine, night, interactions), interactions
    for modality in MEDIA:
        for choice in night.config.extract.encoders[modality]:
            if choice.is_given:
                yield parsed_vectors(engine, night, modality, choice), None


def _by_column(normalise: Normalise, sound: Mapping[str, Any], fields: frozenset[str]) -> Normalise:
    """As `normalise`, but a record is refused for each column that would be refused in a record that is `sound`."""

    def normalised(record: dict[str, Any]) -> dict[str, Any]:
        try:
            return normalise(record)
        except Refusal as first:
            found = {first.reason: first.detail}
        for name in sorted(fields):
            alone = {key: value for key, value in sound.items() if key != name}
            alone |= {name: record[name]} if name in record else {}
            try:
                normalise(alone)
            except Refusal as refusal:
                found.setdefault(refusal.reason, refusal.detail)
        raise Refusal(BETWEEN.join(found), BETWEEN.join(detail[: 500 // len(found)] for detail in found.values()))

    return normalised


def _look(report: Report, night: Night, parsed: Parsed, reading: Reading | None) -> None:
    """Add what became of the records of one kind."""
    arrived, fates = parsed.arrived, parsed.fates
    assert isinstance(fates, LocalRows)
    what = parsed.step.removeprefix("clean_")
    try:
        counts = counted(night, parsed.step, arrived, fates)
    except NightError as error:
        report.failures.append(str(error).partition(" (law 3)")[0])
        by_fate: Counter[str] = Counter({row["fate"]: row["n"] for row in fates.select(FATES).collect()})
    else:
        by_fate, limit = counts.by_fate, night.config.clean.max_refused_share
        if too_many(by_fate["refused"], rows_in=counts.rows_in, limit=limit):
            report.failures.append(
                f"{by_fate['refused']} of {counts.rows_in} {what} are refused, above the set share of {limit:.0%} "
                "(clean.max_refused_share)"
            )
    found = ", ".join(f"{by_fate[fate]:,} {word}" for fate, word in WORDS.items() if by_fate[fate] or fate == "kept")
    files = f"{len(arrived.paths)} {'file' if len(arrived.paths) == 1 else 'files'}"
    report.lines.append(f"{what}: {sum(by_fate.values()):,} records in {files}: {found}")
    report.lines += [f"  not read: {path}: {refusal.detail}" for path, refusal in arrived.unread]
    report.lines += _examples(fates.select(REFUSED).collect())
    if reading is not None:
        report.lines += _columns(fates, parsed, reading)


def _look_at_media(report: Report, night: Night, parsed: Parsed) -> None:
    """Add what became of the files that items point to."""
    kept = parsed.fates.select("SELECT * FROM {rows} WHERE fate = 'kept'")
    items = with_media_keys(kept, raw=night.raw, max_bytes=night.config.clean.max_media_bytes).kept()
    (account,) = items.select("""
        SELECT CAST(coalesce(sum(hashed), 0) AS BIGINT) AS hashed, CAST(coalesce(sum(refused), 0) AS BIGINT) AS refused
        FROM {rows}""").collect()
    refused = f", {account['refused']:,} refused" if account["refused"] else ""
    report.lines.append(f"media: {account['hashed']:,} files of items{refused}")
    report.lines += _examples(items.select(REFUSED_MEDIA).collect())


def _examples(rows: list[dict[str, Any]]) -> Iterator[str]:
    """A line for each reason with its number, and below it the first few that were refused for it."""
    for row in rows:
        if row["example"] == 1:
            yield f"  {int(row['n']):,} refused: {row['reason']}"
        place = f"{row['source']} at {row['position']}" if "source" in row else "item"
        who = (
            f" ({row['record_id']})" if row["record_id"] and "source" in row else f" {row['record_id'] or ''}".rstrip()
        )
        yield f"    {place}{who}: {row['detail']}"


def _columns(fates: LocalRows, parsed: Parsed, reading: Reading) -> Iterator[str]:
    """Lines on the columns: those that are not known, and the fields that have no value in any record that is kept."""
    unknown = "SELECT name, count(*) AS n FROM (SELECT unnest(unknown) AS name FROM {rows}) GROUP BY name ORDER BY name"
    if found := fates.select(unknown).collect():
        known = sorted(reading.columns.read)
        hints = [f"{row['name']} ({row['n']:,}{_hint(str(row['name']), known)})" for row in found]
        yield f"  columns that are not read: {', '.join(hints)}"
    fields = [one for one in parsed.table.schema if one.name in reading.columns.fields]
    filled = ", ".join(f"count_if({_has_value(one)}) AS {one.name}" for one in fields)
    (values,) = fates.select(f"SELECT count(*) AS kept, {filled} FROM {{rows}} WHERE fate = 'kept'").collect()
    kept = values.pop("kept")
    if kept and (empty := [name for name, n in values.items() if not n]):
        yield f"  fields without a value in any record: {', '.join(empty)}"


def _hint(name: str, known: list[str]) -> str:
    near = did_you_mean(name, known).strip()
    return f"; {near}" if near else ""


def _has_value(column: pa.Field) -> str:
    """A condition in DuckDB's SQL: the column is neither null nor empty."""
    if pa.types.is_list(column.type):
        return f"coalesce(len({column.name}), 0) > 0"
    if pa.types.is_map(column.type):
        return f"coalesce(cardinality({column.name}), 0) > 0"
    return f"coalesce(CAST({column.name} AS VARCHAR), '') <> ''"
