"""The lake: Delta tables of plain Parquet files, each partition replaced in one commit.

Files are written first, wherever the writer runs, and are not part of the table until a commit names them. A commit is
made for exactly one version of the table; if another writer commits first, it is made again for that writer's version.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
from deltalake import CommitProperties, DeltaTable, Schema
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from lake import damage, parquet, storage
from lake.commits import added, attempts, commit, live_files, mark, marks, removed
from lake.damage import Damage
from lake.errors import DamageError, LakeError
from lake.writer import FileWriter, StagedFile
from schemas.errors import NightweaveError
from schemas.table import Table
from schemas.tables import TABLES

if TYPE_CHECKING:
    # Its import brings pandas along, seconds that Spark's workers need not pay.
    from pyarrow.dataset import Dataset

STAGED = "staged"
"""The folder of LAKE that lists what runs of nights have made and nobody reads yet (`lake.staging`)."""


@dataclass(frozen=True)
class Lake:
    """The tables under one URI or path (`file`, `s3`, `gs`, `hdfs`).

    >>> from tempfile import TemporaryDirectory
    >>> from schemas.tables import UserEmbeddings
    >>> night = date(2026, 11, 1)
    >>> rows = [{"date": night, "user_id": "ada", "model_version": "m-1", "vector": [0.5], "new_items_vector": None}]
    >>> with TemporaryDirectory() as folder:
    ...     lake = Lake(folder)
    ...     version = lake.write(UserEmbeddings, pa.Table.from_pylist(rows), {"date": night})
    ...     lake.read(UserEmbeddings, columns=["user_id", "vector"]).to_pylist()
    [{'user_id': 'ada', 'vector': [0.5]}]
    """

    uri: str
    versions: Mapping[str, int | None] = field(default_factory=dict, hash=False)
    """Tables by name that are read at a version, None before their first commit; all others are read as of now."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "uri", storage.lake_uri(self.uri))

    def table_uri(self, table: type[Table]) -> str:
        return f"{self.uri}/{table.name}"

    def exists(self) -> bool:
        """Return whether any table has a log at this place, or a night was begun."""
        filesystem, root = storage.filesystem(self.uri)
        found = filesystem.get_file_info([*(f"{root}/{name}/{damage.LOG}" for name in TABLES), f"{root}/{STAGED}"])
        return any(info.type == pafs.FileType.Directory for info in found)

    def delta(self, table: type[Table]) -> DeltaTable | None:
        """Return the table as of now, or at the version that `versions` has for it; None before its first commit.

        Raises:
            DamageError: its log is damaged.
        """
        version = self.versions.get(table.name)
        if table.name in self.versions and version is None:
            return None
        filesystem, root = self.filesystem(table)
        log = damage.log_files(filesystem, root)
        try:
            delta = DeltaTable(self.table_uri(table), version=version, storage_options=storage.delta_options(self.uri))
        except TableNotFoundError:
            return None
        except DeltaError as error:
            if found := damage.of_log(filesystem, root):
                raise self.damage_error(table, found) from error
            raise LakeError(f"{table.name}: its log cannot be read: {damage.words(error)}") from error
        if 0 in log.values() and (found := damage.of_log(filesystem, root)):  # Delta passes over an empty commit
            raise self.damage_error(table, found)
        return delta

    def version(self, table: type[Table]) -> int:
        """Return the table's version as of now, 0 before its first commit."""
        delta = self.delta(table)
        return delta.version() if delta else 0

    def dataset(self, table: type[Table]) -> "Dataset":
        """Return the table as of now as a lazy Arrow dataset, an empty one before its first commit.

        Who reads it does so within `naming_damage`.
        """
        delta = self.delta(table)
        return self._dataset(table, self._files(table, delta, {}), _stored_schema(table, delta))

    def at(self, table: type[Table], delta: DeltaTable) -> "Dataset":
        """Return a version of the table that was opened before, as `dataset` does."""
        return self._dataset(table, live_files(delta, {}), _stored_schema(table, delta))

    def read(
        self, table: type[Table], *, where: pc.Expression | None = None, columns: list[str] | None = None
    ) -> pa.Table:
        """Return rows of the table as of now, with the schema's types.

        Args:
            where: which rows; partitions that it excludes are not opened.
            columns: which columns; all unless given.
        """
        with self.naming_damage(table):
            rows = self.dataset(table).to_table(filter=where, columns=columns)
        return rows.cast(pa.schema([table.schema.field(name) for name in rows.column_names]))

    def batches(
        self, table: type[Table], *, where: pc.Expression | None = None, columns: list[str], rows: int = 1 << 16
    ) -> Iterator[pa.RecordBatch]:
        """Yield rows as `read` returns them, at most so many at a time, under their stored types."""
        with self.naming_damage(table):
            yield from self.dataset(table).to_batches(filter=where, columns=columns, batch_size=rows)

    def damaged(self, table: type[Table], partition: Mapping[str, str] | None = None) -> Iterator[Damage]:
        """Yield the table's live files that are missing or damaged, or its log.

        Args:
            partition: only those of one partition.
        """
        filesystem, root = self.filesystem(table)
        if found := damage.of_log(filesystem, root):
            yield found
            return
        for file in self.files(table, partition).to_pylist():
            size, rows = file["size_bytes"], file["num_records"]
            if detail := damage.of_file(filesystem, f"{root}/{file['path']}", size=size, rows=rows):
                values = {column: str(file[f"partition.{column}"]) for column in table.partition_by}
                yield Damage(values, file["path"], detail)

    def damage_error(self, table: type[Table], found: Damage) -> DamageError:
        """Return what a reader raises that has met with a damage."""
        return DamageError(
            f"{table.name}: {found}; nightweave repair --lake {self.uri} takes it out of the table, keeps it, and says "
            "which nights to run again"
        )

    @contextmanager
    def naming_damage(self, *tables: type[Table]) -> Iterator[None]:
        """Within it, an error is a `DamageError` where a live file of the tables is missing or damaged: what Arrow
        raises does not always name the file."""
        try:
            yield
        except NightweaveError:
            raise
        except Exception as error:
            for table in tables:
                for found in self.damaged(table):
                    raise self.damage_error(table, found) from error
            raise

    def count(self, table: type[Table], partition: Mapping[str, str]) -> int:
        """Return the number of rows of one partition as of now, from the transaction log."""
        return pc.sum(self.files(table, partition)["num_records"]).as_py() or 0

    def files(self, table: type[Table], partition: Mapping[str, str] | None = None) -> pa.Table:
        """Return the table's live files as of now: `path`, `size_bytes`, `num_records`, and `partition.COLUMN` each.

        Args:
            partition: only those of one partition.
        """
        return self._files(table, self.delta(table), partition or {})

    def _files(self, table: type[Table], delta: DeltaTable | None, partition: Mapping[str, str]) -> pa.Table:
        if delta is not None:
            return live_files(delta, partition)
        return files_schema(table).empty_table()

    def stage(
        self, table: type[Table], rows: Iterable[pa.RecordBatch], partition: Mapping[str, str]
    ) -> StagedFile | None:
        """Write rows (partition columns included) of one partition as one Parquet file, zstd; None without rows."""
        with self.writer(table, partition) as file:
            for batch in rows:
                file.write(batch)
        return file.staged

    def writer(self, table: type[Table], partition: Mapping[str, str]) -> FileWriter:
        """Return a context manager that writes rows of one partition, batch by batch, to one Parquet file."""
        return FileWriter(*self.filesystem(table), table, partition)

    def replace(
        self,
        table: type[Table],
        files: Iterable[StagedFile],
        partition: Mapping[str, str],
        *,
        made_from: Mapping[str, int] | None = None,
    ) -> int:
        """Make `files` the whole content of a partition, in one commit.

        Args:
            made_from: name → version of tables that the rows were made from; `lake.provenance` finds them again.

        Returns: the table's new version.

        Raises:
            LakeError: other writers committed first too often.
        """
        files = list(files)
        for _ in attempts(table.name):
            delta = self.current(table)
            version = delta.version() + 1
            kept = marks(partition, version, made_from)
            if commit(delta, table.partition_by, added(files, partition), replaced=partition, marks=kept):
                break
        return version

    def made_from(self, table: type[Table], partition: Mapping[str, str]) -> dict[str, int]:
        """Return name → version of the tables that a partition was made from, as `replace` was given it.

        It has no entry for those that were not recorded: the partition was written by a version that recorded none, or
        there is none.
        """
        delta = self.delta(table)
        read = {source: delta.transaction_version(mark(partition, source)) if delta else None for source in TABLES}
        return {source: version for source, version in read.items() if version is not None}

    def swap(
        self,
        table: type[Table],
        version: DeltaTable,
        *,
        gone: Iterable[str],
        files: Iterable[StagedFile],
        partition: Mapping[str, str],
        data_change: bool,
    ) -> bool:
        """Replace the live files at the paths `gone` by `files`, all of one partition, in one commit.

        Args:
            version: the table as it was when `gone` was read from it.
            data_change: whether rows differ; readers of the table's changes pass over a commit without.

        Returns: whether the commit was made; it is not where another writer has made one since `version`, since that
            may have removed `gone` already.
        """
        adds = added(files, partition, data_change=data_change)
        removes = removed(gone, partition, data_change=data_change)
        return commit(version, table.partition_by, [*adds, *removes])

    def append_new(self, table: type[Table], files: Iterable[StagedFile], partition: Mapping[str, str]) -> int:
        """Add the rows of `files` whose key the partition lacks, in one commit.

        Of two nights that extract the same content at the same time, the one that commits later leaves out what the
        other has committed, so that no key occurs twice.

        Returns: how many rows were added.

        Raises:
            LakeError: other writers committed first too often.
        """
        files = [file for file in files if file.rows]
        if not files:
            return 0
        same_partition = reduce(and_, (pc.field(column) == value for column, value in partition.items()))
        (key,) = (column for column in table.key if column not in partition)
        for _ in attempts(table.name):
            delta = self.current(table)
            with self.naming_damage(table):
                present = self.at(table, delta).to_table(filter=same_partition, columns=[key])[key]
            files = self._without(table, files, key, present, partition)
            if not files or commit(delta, table.partition_by, added(files, partition)):
                break
        return sum(file.rows for file in files)

    def write(
        self,
        table: type[Table],
        rows: pa.Table,
        partition: Mapping[str, date | str],
        *,
        made_from: Mapping[str, int] | None = None,
    ) -> int:
        """Replace a partition by `rows`, sorted by the table's key.

        Args:
            made_from: as in `replace`.

        Returns: the table's new version.

        Raises:
            LakeError: other writers committed first too often.
        """
        values = {column: str(value) for column, value in partition.items()}
        rows = rows.cast(table.schema).sort_by([(column, "ascending") for column in table.key])
        file = self.stage(table, rows.to_batches(), values)
        return self.replace(table, [file] if file else [], values, made_from=made_from)

    def filesystem(self, table: type[Table]) -> tuple[pafs.FileSystem, str]:
        """Return the file system of the table's files, and the table's folder in it."""
        return storage.filesystem(self.table_uri(table))

    def current(self, table: type[Table]) -> DeltaTable:
        """Return the table as of now, created where there is none, with every column of its present schema; columns
        that have become nullable are in its log too, since readers rely on what it says.

        Raises:
            LakeError: a column was added to the schema that may not be null.
        """
        once = CommitProperties(max_commit_retries=0)
        for _ in attempts(table.name):
            try:
                delta = self.delta(table) or DeltaTable.create(
                    self.table_uri(table),
                    schema=table.commented(),
                    partition_by=list(table.partition_by),
                    mode="ignore",
                    name=table.name,
                    description=table.grain(),
                    storage_options=storage.delta_options(self.uri),
                )
                later = [table.commented().field(field.name) for field in _later_columns(table, delta)]
                if later:
                    delta.alter.add_columns(Schema.from_arrow(pa.schema(later)).fields, commit_properties=once)
                for name in _relaxed_columns(table, delta):
                    delta.alter.drop_column_not_null(name, commit_properties=once)
                break
            except CommitFailedError:
                continue
        return delta

    def _dataset(self, table: type[Table], files: pa.Table, schema: pa.Schema) -> "Dataset":
        # Delta's own file system calls Python from Arrow's threads: one that still does as the interpreter ends aborts
        # the process, its work done (apache/arrow#34314). Arrow's file systems don't.
        filesystem, root = self.filesystem(table)
        place = pafs.SubTreeFileSystem(root, filesystem)
        partitions = {column: files[f"partition.{column}"].to_pylist() for column in table.partition_by}
        rows = [
            (path, {column: values[row] for column, values in partitions.items()})
            for row, path in enumerate(files["path"].to_pylist())
        ]
        return parquet.dataset(place, rows, schema)

    def _without(
        self,
        table: type[Table],
        files: list[StagedFile],
        key: str,
        present: pa.ChunkedArray,
        partition: Mapping[str, str],
    ) -> list[StagedFile]:
        """The staged files less the rows whose key is `present`; only files with such rows are rewritten."""
        filesystem, root = self.filesystem(table)
        kept = []
        for file in files:
            path = f"{root}/{file.path}"
            keys = parquet.table(filesystem, path, columns=[key])[key]
            known = pc.is_in(keys, present)
            if not pc.any(known).as_py():
                kept.append(file)
                continue
            rows = parquet.table(filesystem, path)
            filesystem.delete_file(path)
            if fresh := self.stage(table, rows.filter(pc.invert(known)).to_batches(), partition):
                kept.append(fresh)
        return kept


def files_schema(table: type[Table]) -> pa.Schema:
    """Return the schema of what `Lake.files` returns."""
    columns = {"path": pa.string(), "size_bytes": pa.int64(), "num_records": pa.int64()}
    values = {f"partition.{column}": table.schema.field(column).type for column in table.partition_by}
    return pa.schema([*(columns | values).items()])


def _later_columns(table: type[Table], delta: DeltaTable) -> list[pa.Field]:
    """Columns of the schema that a table written by an earlier version lacks; in its rows they are null."""
    known = {field.name for field in delta.schema().fields}
    later = [field for field in table.schema if field.name not in known]
    if binding := [field.name for field in later if not field.nullable]:
        raise LakeError(
            f"{table.name}: the lake was written without {', '.join(binding)}; columns that came later must be nullable"
        )
    return later


def _relaxed_columns(table: type[Table], delta: DeltaTable) -> list[str]:
    """Columns that may be null in the present schema, and may not in a table written by an earlier version."""
    binding = {field.name for field in delta.schema().fields if not field.nullable}
    return [field.name for field in table.schema if field.nullable and field.name in binding]


def _stored_schema(table: type[Table], delta: DeltaTable | None) -> pa.Schema:
    """The table's Arrow schema as its log has it, with the columns added later."""
    if delta is None:
        return table.schema
    return pa.schema([*pa.schema(delta.schema().to_arrow()), *_later_columns(table, delta)])
