"""Verify: read every table and find the promises that do not hold."""

import json
import logging
from collections.abc import Collection, Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cache, cached_property, reduce
from itertools import groupby
from operator import and_
from typing import TYPE_CHECKING, Any, Literal

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from jobs.runtime.failure import LAW_OF_TABLE
from jobs.runtime.night import Night, NightError, check_lake
from lake import views
from lake.damage import Damage, place
from lake.lake import Lake
from lake.provenance import REPLACED_SINCE, replaced_since
from lake.staging import StagedNight
from schemas.features import FEATURES
from schemas.table import Check, Table
from schemas.tables import BY_NIGHT, LOOKED_BACK_ON, TABLES, Interactions, Items, Ledger, Quarantine, Recommendations

if TYPE_CHECKING:
    from pyarrow.dataset import Dataset

log = logging.getLogger("nightweave.verify")

SHOWN, NAMED = 5, 10
WHOLE = "every file is there and whole"


@dataclass(frozen=True)
class Finding:
    """A promise that one partition of a table does not keep, and what breaks it, the first few in words.

    `partition` is its columns with their values; it is empty where the table itself cannot be read.
    """

    table: str
    partition: Mapping[str, str]
    promise: str
    severity: Literal["fail", "warn"]
    broken_by: int
    examples: tuple[str, ...]

    def place(self) -> str:
        return f"{self.table}/{place(self.partition)}" if self.partition else self.table


@dataclass(frozen=True)
class Damages:
    """What of the lake is missing or damaged: by the name of each such table."""

    of: Mapping[str, tuple[Damage, ...]]

    @classmethod
    def find(cls, lake: Lake, night: str | None = None) -> "Damages":
        """Read every file of the lake, or of one night."""
        tables = BY_NIGHT if night else tuple(TABLES.values())
        partition = {"date": night} if night else {}
        found = {table.name: tuple(lake.damaged(table, partition)) for table in tables}
        return cls({name: damages for name, damages in found.items() if damages})

    def findings(self) -> Iterator[Finding]:
        for name, damages in self.of.items():
            for damage in damages:
                yield Finding(name, damage.partition, WHOLE, "fail", 1, (str(damage),))

    @cached_property
    def logs(self) -> frozenset[str]:
        """The tables whose log is damaged, of which nothing can be read."""
        return frozenset(name for name, damages in self.of.items() if not all(one.partition for one in damages))

    def partitions(self, table: str) -> list[Mapping[str, str]]:
        return [damage.partition for damage in self.of.get(table, ())]

    def intact(self, lake: Lake) -> "dict[str, Dataset]":
        """Of each damaged table the partitions that are whole, none where its log is damaged."""
        from pyarrow.dataset import dataset

        def whole(table: type[Table]) -> "Dataset":
            if table.name in self.logs:
                return dataset(table.schema.empty_table())
            rows = lake.dataset(table)
            for partition in self.partitions(table.name):
                here = (pc.field(c) == pa.scalar(v).cast(table.schema.field(c).type) for c, v in partition.items())
                rows = rows.filter(~reduce(and_, here))
            return rows

        return {name: whole(TABLES[name]) for name in self.of}

    def may_have_caused(self, finding: Finding, reads: Collection[str]) -> bool:
        """Whether a breach may only be there because rows of damaged partitions were left out.

        Rows of a table are held against rows of others: of the same night, of `LOOKED_BACK_ON` also of earlier ones,
        and of contents and what was refused of them those of all nights.
        """
        return finding.partition in self.partitions(finding.table) or any(
            self._reached(name, partition, finding)
            for name in reads
            if name != finding.table
            for partition in self.partitions(name)
        )

    def _reached(self, table: str, damaged: Mapping[str, str], finding: Finding) -> bool:
        if table == Quarantine.name or not {"date"} <= damaged.keys() & finding.partition.keys():
            return True
        if TABLES[table] in LOOKED_BACK_ON:
            return damaged["date"] <= finding.partition["date"]
        return damaged["date"] == finding.partition["date"]


def findings(lake: Lake, night: str | None = None) -> tuple[int, list[Finding]]:
    """How many promises were looked at, and the partitions that do not keep them.

    Rows are asked for only of partitions whose files are whole, and no other partition is blamed for what damaged ones
    lack. A promise about a table whose log is damaged is not looked at. A night is held against what it was made from:
    an earlier night that was made again since proves nothing about its shelves.

    Args:
        night: look at the partitions of one night alone, and at the features that it has extracted; what it rests on of
            earlier nights is read, and taken as it is.

    Raises:
        UserError: there is no lake.
        DamageError: what the night rests on of earlier nights is damaged.
    """
    check_lake(lake)
    damages = Damages.find(lake, night)
    looked, broken = len(BY_NIGHT if night else TABLES), list(damages.findings())
    intact = damages.intact(lake)
    replaced = replaced_since(lake, without=damages.logs, night=night)
    for tables, instead in _looks(lake, night):
        with views.connect(lake, instead=intact | instead) as connection, views.naming_damage(lake):
            connection.register(REPLACED_SINCE, replaced)
            for table in tables:
                for check in table.all_checks():
                    reads = tables_of(check.sql)
                    if reads.isdisjoint(damages.logs):
                        looked += 1
                        breaches = _breaches(connection, table, check, night)
                        broken += [finding for finding in breaches if not damages.may_have_caused(finding, reads)]
    return looked, broken


def _looks(lake: Lake, night: str | None) -> "Iterator[tuple[list[type[Table]], dict[str, Dataset]]]":
    """The tables to look at together, and what of them is read in place of the whole.

    Promises of a feature store are about its own rows; for a night, about those that the night has extracted.
    """
    if night is None:
        yield list(TABLES.values()), {}
        return
    extracted = pc.field("date") == pa.scalar(night).cast(pa.date32())
    stores = [table for table in TABLES.values() if table in FEATURES.values()]
    yield [table for table in TABLES.values() if table not in stores], {}
    yield stores, {table.name: lake.dataset(table).filter(extracted) for table in stores}


@cache
def tables_of(sql: str) -> Set[str]:
    """Return the names of the tables that a SELECT reads; those by which `replaced_since` was made are among them.

    DuckDB's `get_table_names` knows none that stand for Arrow data, and fails on a join `USING` a column of such a one.
    """
    ((tree,),) = _parser().execute("SELECT json_serialize_sql($sql)", {"sql": sql}).fetchall()
    names = set(_tables_in(json.loads(tree)))
    if REPLACED_SINCE in names:
        names |= {Items.name, Interactions.name, Ledger.name, Recommendations.name}
    return names & TABLES.keys()


@cache
def _parser() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def _tables_in(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if node.get("type") == "BASE_TABLE":
            yield node["table_name"]
        node = list(node.values())
    if isinstance(node, list):
        for inner in node:
            yield from _tables_in(inner)


def _breaches(
    connection: duckdb.DuckDBPyConnection, table: type[Table], check: Check, night: str | None
) -> Iterator[Finding]:
    sql = check.sql
    if night and "date" in table.partition_by:
        sql = f"SELECT * FROM (\n{sql}\n) WHERE date = DATE '{night}'"
    found: pa.Table = connection.sql(sql).to_arrow_table()
    if not len(found):
        return

    def partition(row: dict[str, Any]) -> tuple[str, ...]:
        return tuple(str(row[column]) for column in table.partition_by)

    for values, rows in groupby(sorted(found.to_pylist(), key=partition), key=partition):
        here = list(rows)
        examples = tuple(str(row)[:300] for row in here[:SHOWN])
        columns = dict(zip(table.partition_by, values, strict=True))
        yield Finding(table.name, columns, check.name, check.severity, len(here), examples)


def describe(finding: Finding) -> str:
    by = f"broken by {finding.broken_by}" + (", such as" if finding.broken_by > 1 else "")
    return "\n".join(
        [f"{finding.severity}: {finding.place()}: {finding.promise}: {by}"]
        + [f"    {example}" for example in finding.examples]
    )


def run(night: Night) -> None:
    """Read what the night has made, published or not; breaches are in the log.

    What of it is staged is recorded as audited, passed or failed.

    Raises:
        NightError: a promise of severity `fail` does not hold.
    """
    looked, broken = findings(night.lake, night.ds)
    for finding in broken:
        log.warning("%s", describe(finding))
    failed = [finding for finding in broken if finding.severity == "fail"]
    if isinstance(night.lake, StagedNight):
        night.lake.record_audit(passed=not failed)
    if failed:
        named = "; ".join(f"{finding.place()}: {finding.promise}" for finding in failed[:NAMED])
        raise NightError(
            f"{len(failed)} breaches of {looked} promises, the log above shows them: {named}; the night stays staged, "
            "and readers see what they saw before",
            law=LAW_OF_TABLE[failed[0].table],
            partition=", ".join(dict.fromkeys(finding.place() for finding in failed[:NAMED])),
        )
    log.info("verify: %d promises looked at, %d warnings", looked, len(broken))
