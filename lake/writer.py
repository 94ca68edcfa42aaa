"""Parquet files as they are written into a table's folder, before a commit names them."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from lake.errors import LakeError
from schemas.table import Table


@dataclass(frozen=True)
class StagedFile:
    """A Parquet file that no commit names yet. `path` is relative to its table."""

    path: str
    size: int
    rows: int


class FileWriter:
    """A Parquet file of one partition while it is written to the table's folder, zstd; a context manager.

    The vectors of a file have one width. `staged` is the file once it is closed, None without rows.
    """

    def __init__(
        self, filesystem: pafs.FileSystem, root: str, table: type[Table], partition: Mapping[str, str]
    ) -> None:
        self.staged: StagedFile | None = None
        self._table = table
        self._filesystem, self._root = filesystem, root
        self._folder = "/".join(f"{column}={partition[column]}" for column in table.partition_by)
        name = f"part-{uuid.uuid4().hex}.parquet"
        self._path = f"{self._folder}/{name}" if self._folder else name
        self._writer: pq.ParquetWriter | None = None
        self._rows = 0
        self._width: int | None = None

    def write(self, batch: pa.RecordBatch) -> None:
        """Write rows that have all columns of the table, partition columns included; other columns are left out.

        Raises:
            LakeError: vectors of the file differ in width.
        """
        if not batch.num_rows:
            return
        rows = pa.Table.from_batches([batch])
        self._check_width(rows)
        if self._writer is None:
            self._filesystem.create_dir(f"{self._root}/{self._folder}", recursive=True)
            schema = self._table.file_schema()
            place = f"{self._root}/{self._path}"
            self._writer = pq.ParquetWriter(
                place, schema, filesystem=self._filesystem, compression="zstd", write_page_checksum=True
            )
        self._writer.write_table(rows.select(self._writer.schema.names).cast(self._writer.schema))
        self._rows += batch.num_rows

    def _check_width(self, rows: pa.Table) -> None:
        """The type is a list of any length: who reads a column of vectors as a matrix relies on their one width."""
        if "vector" not in self._table.schema.names:
            return
        widths = set(pc.unique(pc.list_value_length(rows["vector"])).to_pylist())
        if self._width is not None:
            widths.add(self._width)
        if len(widths) > 1:
            raise LakeError(f"{self._table.name}: vectors of {self._folder} differ in width: {sorted(widths)}")
        (self._width,) = widths

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        if self._writer is None:
            return
        self._writer.close()
        if failure is None:
            size = self._filesystem.get_file_info(f"{self._root}/{self._path}").size
            self.staged = StagedFile(self._path, size, self._rows)
