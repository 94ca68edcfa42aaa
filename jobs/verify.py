"""Verify: read every table and say whether what is promised holds."""

import argparse
import logging
from dataclasses import dataclass

from jobs.failure import LAW_OF_TABLE
from jobs.night import Night, NightError, run_step
from lake import views
from lake.lake import Lake
from schemas.table import Check
from schemas.tables import TABLES

log = logging.getLogger("nightweave.verify")

SHOWN = 5


@dataclass(frozen=True)
class Finding:
    """A promise and the rows that break it, the first few of them in words."""

    table: str
    check: Check
    rows: int
    examples: tuple[str, ...]


def findings(lake: Lake) -> tuple[int, list[Finding]]:
    """How many promises were looked at, and those that do not hold."""
    connection = views.connect(lake)
    looked, broken = 0, []
    for table in TABLES.values():
        for check in table.all_checks():
            looked += 1
            rows = connection.sql(check.sql).to_arrow_table()
            if len(rows):
                examples = tuple(str(row)[:300] for row in rows.slice(0, SHOWN).to_pylist())
                broken.append(Finding(table.name, check, len(rows), examples))
    return looked, broken


def describe(finding: Finding) -> str:
    lines = [f"{finding.check.severity}: {finding.table}: {finding.check.name}: broken by {finding.rows} rows, such as"]
    return "\n".join([*lines, *(f"    {example}" for example in finding.examples)])


def run(night: Night, _: argparse.Namespace) -> None:
    looked, broken = findings(night.lake)
    for finding in broken:
        log.warning("%s", describe(finding))
    failed = [f for f in broken if f.check.severity == "fail"]
    if failed:
        names = "; ".join(f"{f.table}: {f.check.name}" for f in failed)
        raise NightError(
            f"{len(failed)} of {looked} promises do not hold: {names}",
            law=LAW_OF_TABLE[failed[0].table],
            partition=", ".join(dict.fromkeys(f"{finding.table}, read on {night.ds}" for finding in failed)),
        )
    log.info("verify: %d promises looked at, %d warnings", looked, len(broken))


if __name__ == "__main__":
    run_step("jobs.verify")
