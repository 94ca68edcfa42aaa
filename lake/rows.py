"""Rows on their way from a step's input to a table, wherever they are computed: `lake.spark` has them under Spark,
`lake.local` in this process."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import pyarrow as pa

from lake.lake import Lake
from schemas.table import Table

ROWS_PER_BATCH = 2000
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Function = Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]
Condition = tuple[str, str, str]
"""A partition column, `=` or `<=`, and a value, such as `("date", "<=", "2026-11-07")`."""


class Rows(Protocol):
    """Rows that may be computed when they are asked for, and anew each time that they are, until they are `kept`."""

    def map(self, function: Function, schema: pa.Schema) -> "Rows":
        """What a function makes of batches of the rows; it is picklable, and may be given any part of them at a time.

        Args:
            schema: of the batches that it yields.
        """

    def select(self, query: str, **others: "Rows") -> "Rows":
        """The rows of a SELECT, in SQL that Spark and DuckDB both read; `{rows}` in it stands for these rows, and
        `{name}` for others."""

    def spread(self, column: str) -> "Rows":
        """The same rows, in parts of about one size by the values of a column, each in their order; for what is worth
        computing apart."""

    def kept(self) -> "Rows":
        """The same rows, computed once however often they are asked for, and kept on disk."""

    def collect(self) -> list[dict[str, Any]]:
        """The rows themselves, where they are few."""

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
        """Make the rows the whole content of a partition, in one commit; columns that the table lacks are left out.

        A column `vector` may hold the bytes of its numbers, float32 in little-endian order, all of one width.

        Args:
            order: columns by which the rows of a file are sorted.
            made_from: as in `Lake.replace`.
            one_file: whether one task writes them all.
        """


class Shared(Protocol[T_co]):
    """Something that every task is given."""

    @property
    def value(self) -> T_co: ...


class Engine(Protocol):
    """Where rows are computed."""

    @property
    def parallelism(self) -> int:
        """How many tasks run at once."""

    def rows(self, rows: pa.Table, *, parts: int) -> Rows:
        """Rows of this process, few, in at most so many parts that are worth computing apart."""

    def read(self, lake: Lake, table: type[Table], *where: Condition, columns: Sequence[str] = ()) -> Rows:
        """Rows of a table as of now.

        Args:
            where: all conditions hold.
            columns: those to read; all unless given.
        """

    def share(self, value: T) -> Shared[T]:
        """A value for tasks, sent to where they run once."""


def with_lists(rows: pa.RecordBatch) -> pa.RecordBatch:
    """The rows, vectors that are bytes as lists of their numbers."""
    place = rows.schema.get_field_index("vector")
    if place < 0 or not pa.types.is_binary(rows.column(place).type) or not rows.num_rows:
        return rows
    numbers = np.frombuffer(b"".join(rows.column(place).to_pylist()), "<f4")
    lists = pa.FixedSizeListArray.from_arrays(pa.array(numbers), len(numbers) // rows.num_rows)
    return rows.set_column(place, "vector", lists)
