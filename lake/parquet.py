"""Parquet files as Arrow, read by one way: pages are held against their checksums, so that a flipped bit is an error
and no value."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
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


def checked(dataset: "Dataset") -> "Dataset":
    """Return a data set of the same Parquet files; reading it raises as `batches`."""
    from pyarrow.dataset import FileSystemDataset, ParquetFileFormat, ParquetFragmentScanOptions

    options = ParquetFragmentScanOptions(pre_buffer=True, page_checksum_verification=True)
    form = ParquetFileFormat(default_fragment_scan_options=options)

    def again(file: "Fragment") -> "Fragment":
        return form.make_fragment(
            file.path, filesystem=dataset.filesystem, partition_expression=file.partition_expression
        )

    return FileSystemDataset(list(map(again, dataset.get_fragments())), dataset.schema, form, dataset.filesystem)
