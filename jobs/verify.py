"""Verify: read every table and find the promises that do not hold."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

import duckdb
import pyarrow as pa

from jobs.runtime.failure import LAW_OF_TABLE
from jobs.runtime.night import Night, NightError
from lake import views
from lake.damage import damaged
from lake.lake import Lake
from lake.provenance import REPLACED_SINCE, replaced_since
from schemas.table import Check, Table
from schemas.tables import TABLES

log = logging.getLogger("nightweave.verify")

SHOWN, NAMED = 5, 10
WHOLE = "every file is there and whole"


@dataclass(frozen=True)
class Finding:
    """A promise that one partition of a table does not keep, and what breaks it, the first few in words.

    `partition` reads `column=value/...`; it is empty where the table itself cannot be read.
    """

    table: str
    partition: str
    promise: str
    severity: Literal["fail", "warn"]
    broken_by: int
    examples: tuple[str, ...]

    def place(self) -> str:
        return f"{self.table}/{self.partition}" if self.partition else self.table


def findings(lake: Lake) -> tuple[int, list[Finding]]:
    """How many promises were looked at, and the partitions that do not keep them.

    Rows are asked for only of tables whose files are whole: a promise about another table is not looked at. A night is
    held against what it was made from: an earlier night that was made again since proves nothing about its shelves.
    """
    broken = [finding for table in TABLES.values() for finding in _damages(lake, table)]
    looked, torn = len(TABLES), {finding.table for finding in broken}
    connection = views.connect(lake, without=torn)
    connection.register(REPLACED_SINCE, replaced_since(lake, without=torn))
    for table in TABLES.values():
        for check in table.all_checks():
            if torn.isdisjoint(connection.get_table_names(check.sql)):
                looked += 1
                broken += _breaches(connection, table, check)
    return looked, broken


def _damages(lake: Lake, table: type[Table]) -> Iterator[Finding]:
    for damage in damaged(lake, table):
        partition = "/".join(f"{column}={value}" for column, value in damage.partition.items())
        yield Finding(table.name, partition, WHOLE, "fail", 1, (f"{damage.path} {damage.detail}",))


def _breaches(connection: duckdb.DuckDBPyConnection, table: type[Table], check: Check) -> Iterator[Finding]:
    found: pa.Table = connection.sql(check.sql).to_arrow_table()
    if not len(found):
        return

    def partition(row: dict[str, Any]) -> str:
        return "/".join(f"{column}={row[column]}" for column in table.partition_by)

    for place, rows in groupby(sorted(found.to_pylist(), key=partition), key=partition):
        here = list(rows)
        examples = tuple(str(row)[:300] for row in here[:SHOWN])
        yield Finding(table.name, place, check.name, check.severity, len(here), examples)


def describe(finding: Finding) -> str:
    by = f"broken by {finding.broken_by}" + (", such as" if finding.broken_by > 1 else "")
    return "\n".join(
        [f"{finding.severity}: {finding.place()}: {finding.promise}: {by}"]
        + [f"    {example}" for example in finding.examples]
    )


def run(night: Night) -> None:
    """Read every table; breaches are in the log.

    Raises:
        NightError: a promise of severity `fail` does not hold.
    """
    looked, broken = findings(night.lake)
    for finding in broken:
        log.warning("%s", describe(finding))
    failed = [finding for finding in broken if finding.severity == "fail"]
    if failed:
        named = "; ".join(f"{finding.place()}: {finding.promise}" for finding in failed[:NAMED])
        raise NightError(
            f"{len(failed)} breaches of {looked} promises, the log above shows them: {named}",
            law=LAW_OF_TABLE[failed[0].table],
            partition=", ".join(dict.fromkeys(finding.place() for finding in failed[:NAMED])),
        )
    log.info("verify: %d promises looked at, %d warnings", looked, len(broken))
