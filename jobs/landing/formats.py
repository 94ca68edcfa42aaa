"""Record files by format: JSON Lines, JSON and Parquet; `csv_rows` has CSV.

Each reader yields records with their positions, yields what it cannot read as a `Refusal` in its place, and returns how
many records the file holds, counted apart from what it parsed: by the lines of a text, the footer of a Parquet file.
"""

import json
import re
from collections.abc import Generator, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.landing.refusal import Refusal
from jobs.landing.text import MAX_RECORD_BYTES, NOT_UTF8, SPACE, Tally, lines

Reader = Generator[tuple[int, dict[str, Any] | Refusal], None, int | None]
MAX_DOCUMENT_BYTES = 64 << 20
ROWS_PER_BATCH = 4096
MAX_ROWS = 1 << 40
"""A footer that names more rows is damaged."""
UNREADABLE = (OSError, ValueError, OverflowError, LookupError, pa.ArrowException)
"""What readers raise over bytes that they do not understand."""

_BOM = b"\xef\xbb\xbf"
_BLANK = SPACE.encode()
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_INNERMOST = re.compile(rb"\[[^\[\]{}]*\]|\{[^\[\]{}]*\}")


def json_lines(source: Iterator[bytes]) -> Reader:
    """Read JSON Lines: one object a line."""
    tally = Tally()
    for position, line in enumerate(lines(tally.tap(source)), 1):
        if line.isspace():
            continue
        if len(line) > MAX_RECORD_BYTES:
            yield position, Refusal("record_too_long", f"more than {MAX_RECORD_BYTES} bytes without a line end")
        else:
            yield position, _json_record(line)
    return tally.lines


def json_text(source: Iterator[bytes]) -> Reader:
    """Read what is called JSON: JSON Lines, or one document that is an object or an array of them."""
    first = next(source, b"")
    line = first.strip(_BLANK).partition(b"\n")[0].strip(_BLANK)
    whole = _with_first(first, source)
    return (yield from json_document(whole) if line.startswith(b"[") or line == b"{" else json_lines(whole))


def json_document(source: Iterator[bytes]) -> Reader:
    """Read one JSON document, an object or an array of them; it is held in memory, so its size has a bound."""
    pieces: list[bytes] = []
    for block in source:
        pieces.append(block)
        if sum(map(len, pieces)) > MAX_DOCUMENT_BYTES:
            raise Refusal(
                "document_too_large", f"more than {MAX_DOCUMENT_BYTES} bytes; write one object a line", rows=None
            )
    document = b"".join(pieces)
    try:
        value = json.loads(document.decode())
    except (ValueError, RecursionError) as error:
        raise Refusal("not_json", f"{_cause(error)}; where its records begin and end is not known", rows=None) from None
    for position, record in enumerate(value if isinstance(value, list) else [value], 1):
        yield position, _object(record)
    return _elements(document) if isinstance(value, list) else 1


def parquet_rows(file: pa.NativeFile, *, known: frozenset[str] | None = None) -> Reader:
    """Read Parquet. A row group that is damaged costs its rows, as many as the footer has of it.

    Args:
        known: columns of which a value that cannot be read costs its row; None for all.

    Raises:
        Refusal: its footer cannot be read.
    """
    try:
        parquet = pq.ParquetFile(file, page_checksum_verification=True)
        groups = [parquet.metadata.row_group(group).num_rows for group in range(parquet.metadata.num_row_groups)]
    except UNREADABLE as error:
        raise Refusal("not_parquet", f"its footer cannot be read: {error!s:.200}", rows=None) from None
    total, names = parquet.metadata.num_rows, parquet.schema_arrow.names
    if sum(groups) != total or min(groups, default=0) < 0 or total > MAX_ROWS:
        raise Refusal("not_parquet", f"its footer names {total} rows and row groups of {sum(groups)}", rows=None)
    if twice := sorted({name for name in names if names.count(name) > 1}):
        yield 0, Refusal("not_parquet", f"columns with one name: {', '.join(twice)}", rows=total)
        return total
    start = 0
    for group, size in enumerate(groups):
        read, cause = 0, "it ends early"
        try:
            for batch in parquet.iter_batches(batch_size=ROWS_PER_BATCH, row_groups=[group]):
                for record in _batch_records(batch, known):
                    read += 1
                    yield start + read, record
        except UNREADABLE as error:
            cause = f"{error!s:.200}"
        if read < size:
            detail = f"rows {start + read + 1} to {start + size}, of row group {group}, cannot be read: {cause}"
            yield start + read + 1, Refusal("not_parquet", detail, rows=size - read)
        start += size
    return total


def _with_first(first: bytes, source: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from source


def _json_record(line: bytes) -> dict[str, Any] | Refusal:
    try:
        return _object(json.loads(line.removeprefix(_BOM).decode()))
    except UnicodeDecodeError as error:
        return Refusal("not_utf8", _cause(error))
    except (ValueError, RecursionError) as error:
        return Refusal("not_json", _cause(error))


def _object(value: Any) -> dict[str, Any] | Refusal:
    if isinstance(value, dict):
        return value
    return Refusal("not_an_object", f"expected a JSON object, got {type(value).__name__}")


def _cause(error: Exception) -> str:
    """Why a text is no JSON, without quoting it."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} (character {error.pos + 1})"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start + 1} is {NOT_UTF8}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _elements(document: bytes) -> int:
    """How many elements the array has that a document is, counted by its brackets and commas alone."""
    flat = _STRINGS.sub(b"0", document).strip(_BLANK)[1:-1]
    found = 1
    while found:
        flat, found = _INNERMOST.subn(b"0", flat)
    return flat.count(b",") + 1 if flat.strip(_BLANK) else 0


def _batch_records(batch: pa.RecordBatch, known: frozenset[str] | None) -> Iterator[dict[str, Any] | Refusal]:
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
