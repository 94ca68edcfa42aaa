"""Detection of missing and damaged files of the lake's tables."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from deltalake.exceptions import DeltaError

from lake.lake import Lake
from schemas.table import Table

LOG = "_delta_log"


@dataclass(frozen=True)
class Damage:
    """`path` is relative to the table; `partition` holds its partition's columns, none where the log is damaged."""

    partition: dict[str, str]
    path: str
    detail: str


def damaged(lake: Lake, table: type[Table]) -> Iterator[Damage]:
    """Yield the table's live files that are missing or damaged.

    Each is read to its end, the checksums of its pages are verified, and its size and its number of rows are compared
    with the log's. A file's own metadata, which no checksum covers, must at least be readable.
    """
    try:
        files = lake.files(table).to_pylist()
    except (DeltaError, OSError, ValueError) as error:
        yield Damage({}, LOG, f"cannot be read: {_words(error)}")
        return
    filesystem, root = lake.filesystem(table)
    for file in files:
        if detail := _what_is_wrong(filesystem, f"{root}/{file['path']}", file):
            partition = {column: str(file[f"partition.{column}"]) for column in table.partition_by}
            yield Damage(partition, file["path"], detail)


def _what_is_wrong(filesystem: pafs.FileSystem, path: str, logged: dict[str, Any]) -> str | None:
    info = filesystem.get_file_info(path)
    if info.type != pafs.FileType.File:
        return "is missing"
    if info.size != logged["size_bytes"]:
        return f"has {info.size} bytes; the log says {logged['size_bytes']}"
    try:
        with filesystem.open_input_file(path) as source:
            batches = pq.ParquetFile(source, page_checksum_verification=True).iter_batches()
            rows = sum(batch.num_rows for batch in batches)
    except (OSError, ValueError, pa.ArrowException) as error:
        return f"is damaged: {_words(error)}"
    return None if rows == logged["num_records"] else f"has {rows} rows; the log says {logged['num_records']}"


def _words(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
