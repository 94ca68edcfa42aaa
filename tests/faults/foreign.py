"""The rows of a lake as others read them: Polars by its own reader of Delta tables, and Polars' reader of Parquet over
the files that the log's commits name, which are replayed here line by line as the protocol has it."""

import json
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import polars as pl

from lake import damage
from lake.lake import Lake
from schemas.table import Table
from schemas.tables import TABLES

Row = dict[str, Any]


def differences(lake: Lake) -> list[str]:
    """In words, each table of a local lake, as of now, of which another reader has other rows than ours."""
    said = []
    for table in TABLES.values():
        filesystem, root = lake.filesystem(table)
        if not damage.log_files(filesystem, root):
            continue
        ours = _in_order(lake.read(table).to_pylist(maps_as_pydicts="strict"))
        for reader, rows in (("Polars", by_polars(Path(root))), ("the log replayed", replayed(Path(root), table))):
            theirs = _in_order(rows)
            if theirs != ours:
                odd = next((pair for pair in zip(ours, theirs, strict=False) if pair[0] != pair[1]), ("", ""))
                counts = f"{len(theirs)} rows for {len(ours)}"
                said.append(f"{table.name} by {reader}: {counts}; {odd[1]:.300} for {odd[0]:.300}")
    return said


def by_polars(folder: Path) -> list[Row]:
    """The rows of a table by Polars' reader of Delta tables."""
    return pl.scan_delta(str(folder)).collect().to_dicts()


def replayed(folder: Path, table: type[Table]) -> list[Row]:
    """The rows of the files that are live after all commits of a table's log."""
    rows: list[Row] = []
    for path, values in live(folder).items():
        read = pl.read_parquet(folder / path, hive_partitioning=False, glob=False)
        typed = [
            pl.lit(date.fromisoformat(value) if name == "date" else value).alias(name) for name, value in values.items()
        ]
        # columns that came to the table after the file
        later = [name for name in table.file_schema().names if name not in read.columns]
        rows += read.with_columns(*typed, *(pl.lit(None).alias(name) for name in later)).to_dicts()
    return rows


def live(folder: Path) -> dict[str, dict[str, str]]:
    """Path → the partition's values, of the files that a table's commits have added and not removed."""
    found: dict[str, dict[str, str]] = {}
    for commit in sorted(path for path in (folder / damage.LOG).iterdir() if damage.COMMIT.fullmatch(path.name)):
        for action in map(json.loads, commit.read_text().splitlines()):
            if "remove" in action:
                found.pop(unquote(action["remove"]["path"]), None)
            if "add" in action:
                found[unquote(action["add"]["path"])] = action["add"]["partitionValues"]
    return found


def _in_order(rows: list[Row]) -> list[str]:
    return sorted(repr(sorted((name, _plain(value)) for name, value in row.items())) for row in rows)


def _plain(value: Any) -> Any:
    """A value with the entries of its maps and the fields of its structs in one order."""
    if isinstance(value, dict):
        return sorted((name, _plain(inner)) for name, inner in value.items())
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
