"""Rows that a step passes to its Spark tasks: numbered files in a folder of the lake, removed when the step ends."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from lake import parquet, storage
from lake.lake import Lake

FOLDER = "scratch"


@dataclass(frozen=True)
class Scratch:
    """A folder by its URI; picklable, so that tasks can read from it wherever they run."""

    uri: str

    def write(self, number: int, rows: pa.Table) -> None:
        filesystem, root = storage.filesystem(self.uri)
        filesystem.create_dir(root, recursive=True)
        pq.write_table(rows, f"{root}/{number}.parquet", filesystem=filesystem, write_page_checksum=True)

    def read(self, number: int) -> Iterator[pa.RecordBatch]:
        filesystem, root = storage.filesystem(self.uri)
        yield from parquet.batches(filesystem, f"{root}/{number}.parquet")


@contextmanager
def scratch(lake: Lake, name: str) -> Iterator[Scratch]:
    """Yield a new folder beneath `FOLDER`, removed at the end; a step that is killed leaves it behind."""
    made = Scratch(f"{lake.uri}/{FOLDER}/{name}-{uuid.uuid4().hex}")
    try:
        yield made
    finally:
        filesystem, root = storage.filesystem(made.uri)
        if filesystem.get_file_info(root).type == pafs.FileType.Directory:
            filesystem.delete_dir(root)
