"""A DuckDB file of views over the lake's live Parquet files, for DuckDB's shell, DBeaver and notebooks.

It holds no rows. It shows the lake as it was when it was written, and is good for as long as those files are there.
"""

import os
import re
import tempfile
from pathlib import Path

import duckdb
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lake import publication
from lake.lake import Lake
from schemas import view as beside
from schemas.describe import comments
from schemas.table import Table
from schemas.tables import TABLES, Recommendations

OPENS_WITH = "2.0"
"""The first DuckDB that reads the file."""


def write(lake: Lake, path: Path) -> None:
    """Write the file, in the place of the one that may be there; who has that open goes on reading it.

    Raises:
        DamageError: a table's log, or a live file, is damaged.
        OSError: the file cannot be written.
    """
    files = publication.as_readers_see(lake, lambda seen: {t: seen.files(t) for t in TABLES.values()})
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as folder:
        place = Path(folder) / path.name
        with beside.empty() as typed, duckdb.connect(str(place)) as connection:
            connection.begin()
            for table, live in files.items():
                select = _select(lake, table, live["path"].to_pylist(), beside.types(typed, table.name))
                connection.execute(f"CREATE VIEW {table.name} AS {select}")
            last_night = pc.max(files[Recommendations]["partition.date"]).as_py()
            beside.create(connection, last_night=last_night, temporary=False)
            for statement in comments():
                connection.execute(statement)
            connection.commit()
        os.replace(place, path)


def _select(lake: Lake, table: type[Table], paths: list[str], types: dict[str, str]) -> str:
    """A SELECT of the rows of a table's files, by their paths in its folder, under its columns and types."""
    filesystem, root = lake.filesystem(table)
    if not paths:
        return f"SELECT {', '.join(f'NULL::{types[name]} AS {name}' for name in types)} WHERE false"
    stored = []
    for path in paths:
        with lake.naming_damage(table), filesystem.open_input_file(f"{root}/{path}") as file:
            stored.append(set(pq.read_schema(file).names))
    known = set.union(*stored) | set(table.partition_by)
    columns = (name if name in known else f"NULL::{dtype} AS {name}" for name, dtype in types.items())
    hive = ", ".join(f"{_text(column)}: {types[column]}" for column in table.partition_by)
    options = f"hive_partitioning = true, hive_types = {{{hive}}}" if hive else "hive_partitioning = false"
    if any(names != stored[0] for names in stored):  # it has DuckDB open all files for every query: only where it must
        options += ", union_by_name = true"
    scheme, _, _ = lake.uri.partition("://")
    base = root if scheme == "file" else f"{scheme}://{root}"
    files = ", ".join(_text(re.sub(r"[*?[]", r"[\g<0>]", f"{base}/{path}")) for path in sorted(paths))
    return f"SELECT {', '.join(columns)} FROM read_parquet([{files}], {options})"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
