"""Parquet files as Arrow, read by one way: pages are held against their checksums, so that a flipped bit is an error
and no value."""

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq

if TYPE_CHECKING:
    # Its import brings pandas along, seconds that Spark's workers need not pay.
    from pyarrow.dataset import Dataset, Fragment

ROWS_PER_BATCH = 1 << 16


def batches(
    filesystem: pafs.FileSystem, path: str, *, columns: Sequence[str] | None = None, rows: int = ROWS_PER_BATCH
) -> Iterator[pa.RecordBatch]:
    """Yield a file's rows, at most so many at a time.

    Args:
        columns: those to read, of those that the file has; all unless given.

    Raises:
        OSError, pa.ArrowException: the file is not there, is none of Parquet, or a page does not have its checksum.
    """
    with filesystem.open_input_file(path) as source:
        file = pq.ParquetFile(source, page_checksum_verification=True)
        known = None if columns is None else [name for name in columns if name in file.schema_arrow.names]
        yield from file.iter_batches(batch_size=rows, columns=known)


def table(filesystem: pafs.FileSystem, path: str, *, columns: Sequence[str] | None = None) -> pa.Table:
    """Return a file's rows.

    Raises:
        OSError, pa.ArrowException: as `batches`.
    """
    with filesystem.open_input_file(path) as source:
        file = pq.ParquetFile(source, page_checksum_verification=True)
        return file.read(columns=None if columns is None else list(columns))


def dataset(
    filesystem: pafs.FileSystem, files: Sequence[tuple[str, Mapping[str, Any]]], schema: pa.Schema
) -> "Dataset":
    """Return files as one lazy data set; reading it raises as `batches`.

    Args:
        files: the path of each, with the values of the columns that it does not hold; by these a filter leaves whole
            files unread.
        schema: of the rows, those columns included.
    """
    from pyarrow.dataset import FileSystemDataset, ParquetFileFormat, ParquetFragmentScanOptions

    options = ParquetFragmentScanOptions(pre_buffer=True, page_checksum_verification=True)
    form = ParquetFileFormat(default_fragment_scan_options=options)

    def fragment(path: str, values: Mapping[str, Any]) -> "Fragment":
        here = [pc.field(name) == pa.scalar(value, schema.field(name).type) for name, value in values.items()]
        return form.make_fragment(
            path, filesystem=filesystem, partition_expression=reduce(and_, here) if here else None
        )

    return FileSystemDataset([fragment(*file) for file in files], schema, form, filesystem)
