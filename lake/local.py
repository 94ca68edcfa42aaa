"""Rows in this process, by DuckDB: what a map yields and what is kept lies in a temporary folder, the rest is views."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Generic, Self

import duckdb
import pyarrow as pa

from lake import views
from lake.lake import Lake
from lake.rows import ROWS_PER_BATCH, Condition, Function, Rows, T, with_lists
from schemas.table import Table

Settings = dict[str, str | bool | int | float | list[str]]
MEMORY = "2GB"
"""What DuckDB holds before it goes on on disk."""


@dataclass(frozen=True)
class Here(Generic[T]):
    """A value that this process has already."""

    value: T


class LocalEngine:
    """The engine of this process; `open` makes one."""

    parallelism = 1

    def __init__(self, folder: Path, connection: duckdb.DuckDBPyConnection) -> None:
        self._folder, self._numbers = folder, count()
        self._duckdb = connection
        self._tables: dict[str, tuple[Lake, type[Table]]] = {}

    @classmethod
    @contextmanager
    def open(cls) -> Iterator[Self]:
        """Yield an engine whose rows go with it at the end."""
        with tempfile.TemporaryDirectory(prefix="nightweave-rows-") as folder:
            config: Settings = {"memory_limit": MEMORY, "temp_directory": folder, "python_enable_replacements": False}
            with duckdb.connect(config=config) as connection:
                connection.execute("SET TimeZone = 'UTC'")
                yield cls(Path(folder), connection)

    def rows(self, rows: pa.Table, *, parts: int) -> "LocalRows":
        return self.written(rows.to_batches(), rows.schema)

    def read(self, lake: Lake, table: type[Table], *where: Condition, columns: Sequence[str] = ()) -> "LocalRows":
        name = f"table_{next(self._numbers)}"
        self._tables[name] = lake, table
        self._duckdb.register(name, lake.dataset(table))
        conditions = " AND ".join(f"{column} {operator} '{value}'" for column, operator, value in where) or "true"
        return self.view(f"SELECT {', '.join(columns) or '*'} FROM {name} WHERE {conditions}")

    def share(self, value: T) -> Here[T]:
        return Here(value)

    def written(self, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> "LocalRows":
        """Rows that are written to the folder as they come."""
        from pyarrow.dataset import dataset

        name = f"written_{next(self._numbers)}"
        path = self._folder / f"{name}.arrow"
        with pa.ipc.new_file(path, schema) as file:
            for batch in batches:
                file.write_batch(batch)
        self._duckdb.register(name, dataset(path, format="ipc"))
        return LocalRows(self, name)

    def copied(self, name: str) -> "LocalRows":
        """The rows of a view, written to the folder."""
        rows = self._reader(f"FROM {name}")
        return self.written(self._named(rows), rows.schema)

    def view(self, query: str) -> "LocalRows":
        name = f"rows_{next(self._numbers)}"
        self._duckdb.execute(f"CREATE TEMP VIEW {name} AS {query}")
        return LocalRows(self, name)

    def batches(self, query: str) -> Iterator[pa.RecordBatch]:
        """The rows of a SELECT, to be taken before anything else is asked of the engine."""
        return self._named(self._reader(query))

    def _reader(self, query: str) -> pa.RecordBatchReader:
        with self._naming_damage():
            return self._duckdb.sql(query).to_arrow_reader(ROWS_PER_BATCH)

    def _named(self, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        with self._naming_damage():
            yield from reader

    @contextmanager
    def _naming_damage(self) -> Iterator[None]:
        """Within it, an error of DuckDB is a `DamageError` where a live file was found missing or damaged."""
        try:
            yield
        except (duckdb.Error, OSError) as error:
            if failed := views.FAILED_STREAM.search(str(error)):
                lake, table = self._tables[failed[1]]
                with lake.naming_damage(table):
                    raise
            raise


@dataclass(frozen=True)
class LocalRows:
    """A view of the engine's DuckDB by its name; see `lake.rows.Rows`."""

    engine: LocalEngine
    name: str

    def map(self, function: Function, schema: pa.Schema) -> "LocalRows":
        return self.engine.written(function(self.engine.batches(f"FROM {self.name}")), schema)

    def select(self, query: str, **others: Rows) -> "LocalRows":
        names = {name: rows.name for name, rows in others.items() if isinstance(rows, LocalRows)}
        return self.engine.view(query.format(rows=self.name, **names))

    def spread(self, column: str) -> "LocalRows":
        return self.select(f"SELECT * FROM {{rows}} ORDER BY {column}")

    def kept(self) -> "LocalRows":
        return self.engine.copied(self.name)

    def collect(self) -> list[dict[str, Any]]:
        return [row for batch in self.engine.batches(f"FROM {self.name}") for row in batch.to_pylist()]

    def replace(
        self,
        lake: Lake,
        table: type[Table],
        partition: Mapping[str, str],
        *,
        order: Sequence[str],
        made_from: Mapping[str, int] | None = None,
        one_file: bool = False,
    ) -> None:
        columns = ", ".join(field.name for field in table.schema)
        rows = self.engine.batches(f"SELECT {columns} FROM {self.name} ORDER BY {', '.join(order)}")
        file = lake.stage(table, map(with_lists, rows), partition)
        lake.replace(table, [file] if file else [], partition, made_from=made_from)
