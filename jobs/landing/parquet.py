"""Parquet as records. What a file claims of its sizes is judged by its footer before anything is decoded, and what is
decoded is bounded as it is read, since a page of a few bytes may stand for gigabytes.

Strings that the writer stored once, in a dictionary, are read as places in it: the length of every value is known
before any is written out. So a batch is cut into pieces, of which each is small once it is written out.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from jobs.landing.formats import Reader
from jobs.landing.parquet_pages import Column, Pages, RowGroup, footer, pages
from jobs.landing.refusal import Refusal
from schemas.config import RecordFiles

ROWS_PER_BATCH = 4096
BATCH_BYTES = 32 << 20
"""What is decoded at a time, by the footer's figures, and then written out at a time; one row may be more."""
BUFFER_BYTES = 1 << 20
"""What is read of a column at a time; its row group need not fit into memory."""
VALUE_BYTES = 8
"""What a value of a list costs beside its content: the levels by which it is found, and its place."""
MAX_ROWS = 1 << 40
"""A footer that names more rows is damaged."""
UNREADABLE = (OSError, ValueError, OverflowError, LookupError, pa.ArrowException)
"""What Arrow raises over bytes that it does not understand."""

_OF_BYTES = (pa.types.is_binary, pa.types.is_string, pa.types.is_large_binary, pa.types.is_large_string)


def parquet_rows(file: pa.NativeFile, *, known: frozenset[str] | None, limits: RecordFiles) -> Reader:
    """Read Parquet. A row group that is damaged costs its rows, as many as the footer has of it.

    Args:
        known: columns of which a value that cannot be read costs its row; None for all.

    Raises:
        Refusal: its footer cannot be read.
    """
    try:
        total, groups = footer(file)
        metadata = pq.ParquetFile(file).metadata
        schema = metadata.schema.to_arrow_schema()
    except UNREADABLE as error:
        raise Refusal("not_parquet", f"its footer cannot be read: {error!s:.200}", rows=None) from None
    sizes = [group.rows for group in groups]
    if sum(sizes) != total or min(sizes, default=0) < 0 or total > MAX_ROWS:
        raise Refusal("not_parquet", f"its footer names {total} rows and row groups of {sum(sizes)}", rows=None)
    if twice := sorted(name for name, times in Counter(schema.names).items() if times > 1):
        yield 0, Refusal("not_parquet", f"columns with one name: {', '.join(twice)}", rows=total)
        return total
    budget = Budget(file.size(), limits)
    if sum(_least(column) for group in groups for column in group.columns) > budget.left:
        yield 0, budget.exceeded(rows=total)
        return total
    start = 0
    for number, group in enumerate(groups):
        read, cause = 0, "it ends early"
        try:
            for batch in _batches(file, metadata, number, group, budget):
                for piece in _pieces(batch, schema, budget):
                    for record in _records(piece, known) if isinstance(piece, pa.RecordBatch) else [piece]:
                        read += 1
                        yield start + read, record
        except Refusal as exceeded:
            yield start + read + 1, Refusal(exceeded.reason, exceeded.detail, rows=total - start - read)
            return total
        except UNREADABLE as error:
            cause = f"{error!s:.200}"
        if read < group.rows:
            detail = f"rows {start + read + 1} to {start + group.rows}, of row group {number}, cannot be read: {cause}"
            yield start + read + 1, Refusal("not_parquet", detail, rows=group.rows - read)
        start += group.rows
    return total


class Budget:
    """What a file may still become once it is decoded.

    Attributes:
        left: in bytes.
    """

    def __init__(self, size: int, limits: RecordFiles) -> None:
        self.left = self._all = max(limits.max_expanded_bytes, limits.max_expansion * size)
        self.max_record_bytes = limits.max_record_bytes
        self._size = size

    def spend(self, decoded: int) -> None:
        """Take what was decoded from what is left.

        Raises:
            Refusal: that is more.
        """
        self.left -= decoded
        if self.left < 0:
            raise self.exceeded(rows=None)

    def exceeded(self, *, rows: int | None) -> Refusal:
        return Refusal("expands_too_much", f"{self._size} bytes become more than {self._all}", rows=rows)


def _least(column: Column | Pages) -> int:
    """What a column becomes at least: its pages, or all its values by their places."""
    return max(column.bytes, VALUE_BYTES * column.values)


def _batches(
    file: pa.NativeFile, metadata: pq.FileMetaData, number: int, group: RowGroup, budget: Budget
) -> Iterator[pa.RecordBatch]:
    """A row group in batches of as many rows as make about `BATCH_BYTES`; strings with a dictionary are places in it.

    Raises:
        Refusal: its pages exceed the budget, whatever the footer says of them.
    """
    found = [pages(file, column) for column in group.columns]
    claimed = sum(map(_least, found))
    if claimed > budget.left:
        raise budget.exceeded(rows=None)
    # A value that is stored as what it has beyond the one before may be as long as its page.
    a_row = claimed // max(1, group.rows) + sum(page.largest for page in found if page.has_prefixes)
    by_dictionary = [
        column.path
        for column, page in zip(group.columns, found, strict=True)
        if column.is_bytes and page.has_dictionary
    ]
    parquet = pq.ParquetFile(
        file,
        metadata=metadata,
        read_dictionary=by_dictionary,
        buffer_size=BUFFER_BYTES,
        page_checksum_verification=True,
    )
    rows = min(ROWS_PER_BATCH, max(1, BATCH_BYTES // max(1, a_row)))
    yield from parquet.iter_batches(batch_size=rows, row_groups=[number])


def _pieces(batch: pa.RecordBatch, schema: pa.Schema, budget: Budget) -> Iterator[pa.RecordBatch | Refusal]:
    """The batch in pieces of at most `BATCH_BYTES` written out, and a refusal in the place of a row that is too long.

    Raises:
        Refusal: the budget is spent.
    """
    sizes = sum((_row_bytes(column) for column in batch.columns), np.zeros(batch.num_rows, np.int64))
    budget.spend(int(sizes.sum()))
    ends, start = np.cumsum(sizes), 0
    while start < len(sizes):
        before = ends[start] - sizes[start]
        end = max(start + 1, int(np.searchsorted(ends, before + BATCH_BYTES, side="right")))
        too_long = np.flatnonzero(sizes[start:end] > budget.max_record_bytes)
        if len(too_long) and too_long[0] == 0:
            detail = f"{sizes[start]} bytes; expected at most {budget.max_record_bytes}"
            yield Refusal("record_too_long", detail)
            start += 1
            continue
        end = start + int(too_long[0]) if len(too_long) else end
        # A slice would be written out with all that it is a slice of.
        piece = batch if end - start == len(sizes) else batch.take(np.arange(start, end))
        yield piece.cast(schema)
        start = end


def _row_bytes(column: pa.Array) -> NDArray[np.int64]:
    """How many bytes each row of a column becomes, [rows]."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        if not len(column.dictionary):
            return np.zeros(len(column), np.int64)
        places = column.indices.fill_null(0).to_numpy(zero_copy_only=False)
        return np.where(column.is_null(), 0, _row_bytes(column.dictionary)[places])
    if pa.types.is_struct(kind):
        fields = [_row_bytes(column.field(index)) for index in range(kind.num_fields)]
        return sum(fields, np.zeros(len(column), np.int64))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
        values = [column.keys, column.items] if pa.types.is_map(kind) else [column.values]
        each = sum((_row_bytes(part) for part in values), np.full(len(values[0]), VALUE_BYTES, np.int64))
        offsets = column.offsets.to_numpy()
        return np.diff(np.concatenate(([0], np.cumsum(each)))[offsets])
    if any(is_of(kind) for is_of in _OF_BYTES):
        return pc.binary_length(column).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return np.full(len(column), column.nbytes // max(1, len(column)), np.int64)


def _records(batch: pa.RecordBatch, known: frozenset[str] | None) -> Iterator[dict[str, Any] | Refusal]:
    bad: dict[int, Refusal] = {}
    columns = [
        _values(name, column, bad, known) for name, column in zip(batch.schema.names, batch.columns, strict=True)
    ]
    names = batch.schema.names
    for row, values in enumerate(zip(*columns, strict=True) if columns else [()] * batch.num_rows):
        record = {name: value for name, value in zip(names, values, strict=True) if value is not None}
        yield bad.get(row, record)


def _values(name: str, column: pa.Array, bad: dict[int, Refusal], known: frozenset[str] | None) -> list[Any]:
    """The values of a column; rows whose value cannot be read are added to `bad` where the column is known."""
    kind = column.type
    try:
        if pa.types.is_timestamp(kind):  # the moments are UTC, whichever zone is named
            column = column.cast(pa.timestamp("us" if kind.unit == "ns" else kind.unit, kind.tz and "UTC"), safe=False)
        if pa.types.is_float16(kind) or pa.types.is_float32(kind):  # 29.99, not 29.989999771118164
            return [None if v is None else float(str(np.float32(v))) for v in column.to_pylist()]
        return column.to_pylist()
    except UNREADABLE:
        return [_value(name, row, column[row], bad, known) for row in range(len(column))]


def _value(name: str, row: int, scalar: pa.Scalar, bad: dict[int, Refusal], known: frozenset[str] | None) -> Any:
    try:
        return scalar.as_py()
    except UNREADABLE:
        if known is None or name in known:
            bad.setdefault(row, Refusal("unreadable_value", f"column {name}: a {scalar.type} out of range"))
        return True  # of an unknown column it counts only that there is a value
