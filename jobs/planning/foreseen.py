"""The lake as it will be when nights were cleaned: cleaning's own functions write to a lake aside, in a folder for
temporary files, and what they wrote is read in the place of what the lake holds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from jobs.clean import brought, clean_all
from jobs.runtime.night import Night
from lake import forgotten
from lake.lake import Lake
from lake.rows import Engine, Rows
from schemas.table import Table
from schemas.tables import LOOKED_BACK_ON, Ledger, Quarantine

if TYPE_CHECKING:
    from pyarrow.dataset import Dataset

CLEANED: Mapping[type[Table], str] = {
    **dict.fromkeys(LOOKED_BACK_ON, "true"),
    Quarantine: "starts_with(stage, 'clean_')",
    Ledger: "starts_with(step, 'clean_')",
}
"""What cleaning writes of a night: tables, and which of their rows."""


@dataclass(frozen=True)
class Change:
    """How the rows of a table's night would change.

    Attributes:
        come: rows that are not there yet, or not as they will be.
        go: rows that will not be there any more, or not as they are.
    """

    table: str
    come: int
    go: int

    def __str__(self) -> str:
        return f"{self.table}: {self.come} rows come, {self.go} go"


@dataclass(frozen=True)
class Foreseen(Lake):
    """A lake whose nights `cleaned` are those of another one, and in which the nights that are to `run` have refused
    nothing to extract yet; as which contents are lacking is asked of it."""

    aside: Lake | None = None
    cleaned: frozenset[date] = frozenset()
    run: frozenset[date] = frozenset()

    def dataset(self, table: type[Table]) -> "Dataset":
        from pyarrow.dataset import dataset

        here = super().dataset(table)
        if table not in LOOKED_BACK_ON or self.aside is None:
            return here
        schema = pa.schema([field.with_nullable(True) for field in here.schema])
        files = self.aside.files(table)
        files = files.filter(_of_nights(files, self.cleaned)) if files.num_rows else files
        return dataset([here.replace_schema(schema), self.aside._dataset(table, files, schema)])

    def _files(self, table: type[Table], delta: DeltaTable | None, partition: Mapping[str, str]) -> pa.Table:
        files = super()._files(table, delta, partition)
        if not files.num_rows:
            return files
        if table in LOOKED_BACK_ON:
            return files.filter(pc.invert(_of_nights(files, self.cleaned)))
        if table is Quarantine:
            extracting = pc.starts_with(files["partition.stage"], "extract_")
            return files.filter(pc.invert(pc.and_(extracting, _of_nights(files, self.run))))
        return files


def _of_nights(files: pa.Table, nights: Iterable[date]) -> pa.ChunkedArray:
    return pc.is_in(files["partition.date"], value_set=pa.array(sorted(nights), pa.date32()))


def clean_aside(engine: Engine, night: Night, aside: Lake, *, allow_shrinking: bool) -> None:
    """Clean a night into the lake aside, as its first step would into its own.

    Raises:
        NightError: that step would fail.
    """
    forgotten.carry(night.lake, aside)
    clean_all(engine, replace(night, lake=aside), brought(engine, night, allow_shrinking=allow_shrinking))


def changes(engine: Engine, lake: Lake, aside: Lake, nights: Iterable[date]) -> dict[date, list[Change]]:
    """How cleaning would change what the lake holds of the nights that were cleaned aside: of each night the tables
    that differ, in the order in which they are written."""
    found: dict[date, list[Change]] = {night: [] for night in nights}
    chosen = ", ".join(f"DATE '{night}'" for night in found)
    for table, condition in CLEANED.items() if found else ():
        rows = f"SELECT {', '.join(table.schema.names)} FROM {{rows}} WHERE date IN ({chosen}) AND {condition}"
        now, then = (engine.read(each, table).select(rows) for each in (lake, aside))
        come, go = _beyond(then, now), _beyond(now, then)
        for night in sorted(come.keys() | go.keys()):
            found[night].append(Change(table.name, come.get(night, 0), go.get(night, 0)))
    return found


def _beyond(rows: Rows, others: Rows) -> dict[date, int]:
    """How many of the rows the others lack, by night."""
    lacking = "SELECT date, count(*) AS n FROM (FROM {rows} EXCEPT ALL FROM {others}) GROUP BY date"
    return {row["date"]: row["n"] for row in rows.select(lacking, others=others).collect()}
