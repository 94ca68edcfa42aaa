"""The lake's tables under Spark.

Reading: the driver lists a table's live files, Spark's workers read them. Writing: the workers write files, the driver
makes one commit of those that finished tasks report, so that a failed or repeated task adds no row.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark import Broadcast
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.storagelevel import StorageLevel

from lake import parquet
from lake.damage import Damage, words
from lake.lake import Lake
from lake.rows import ROWS_PER_BATCH, Condition, Function, Rows, T, with_lists
from lake.writer import StagedFile
from schemas.table import Table

OPERATORS = {"=": pc.equal, "<=": pc.less_equal}


@dataclass(frozen=True)
class SparkEngine:
    """The engine of a Spark session."""

    session: SparkSession

    @property
    def parallelism(self) -> int:
        return self.session.sparkContext.defaultParallelism

    def rows(self, rows: pa.Table, *, parts: int) -> "SparkRows":
        made = self.session.createDataFrame(rows.to_pylist(), from_arrow_schema(rows.schema))
        return SparkRows(made.repartition(max(1, parts)))

    def read(self, lake: Lake, table: type[Table], *where: Condition, columns: Sequence[str] = ()) -> "SparkRows":
        return SparkRows(_read(self.session, lake, table, *where, columns=columns))

    def share(self, value: T) -> Broadcast[T]:
        return self.session.sparkContext.broadcast(value)


@dataclass(frozen=True)
class SparkRows:
    """A DataFrame; see `lake.rows.Rows`."""

    frame: DataFrame

    def map(self, function: Function, schema: pa.Schema) -> "SparkRows":
        return SparkRows(self.frame.mapInArrow(function, from_arrow_schema(schema)))

    def select(self, query: str, **others: Rows) -> "SparkRows":
        frames: dict[str, Any] = {name: rows.frame for name, rows in others.items() if isinstance(rows, SparkRows)}
        return SparkRows(self.frame.sparkSession.sql(query, rows=self.frame, **frames))

    def spread(self, column: str) -> "SparkRows":
        parallelism = self.frame.sparkSession.sparkContext.defaultParallelism
        return SparkRows(self.frame.repartition(parallelism, column).sortWithinPartitions(column))

    def kept(self) -> "SparkRows":
        return SparkRows(self.frame.persist(StorageLevel.DISK_ONLY))

    def collect(self) -> list[dict[str, Any]]:
        return [row.asDict(recursive=True) for row in self.frame.collect()]

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
        rows = self.frame.select([field.name for field in table.schema])
        rows = (rows.coalesce(1) if one_file else rows).sortWithinPartitions(*order)
        lake.replace(table, _stage(rows, lake, table, partition), partition, made_from=made_from)


def _read(
    spark: SparkSession, lake: Lake, table: type[Table], *where: Condition, columns: Sequence[str] = ()
) -> DataFrame:
    """Return rows of a table as of now; `where` and `columns` as in `lake.rows.Engine.read`."""
    schema = pa.schema([table.schema.field(name) for name in columns or table.schema.names])
    actions = lake.files(table)
    for column, operator, value in where:
        values = actions[f"partition.{column}"]
        actions = actions.filter(OPERATORS[operator](values, pa.scalar(value).cast(values.type)))
    files = [
        (row["path"], *(str(row[f"partition.{column}"]) for column in table.partition_by))
        for row in actions.sort_by("path").to_pylist()
    ]
    partition = ", ".join(f"{column} string" for column in table.partition_by)
    listed = spark.createDataFrame(files, f"path string, {partition}").repartition(max(1, len(files)))

    def read_files(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        filesystem, root = lake.filesystem(table)
        stored = [name for name in schema.names if name not in table.partition_by]
        for file in (row for batch in batches for row in batch.to_pylist()):
            path = f"{root}/{file['path']}"
            try:
                for rows in parquet.batches(filesystem, path, columns=stored, rows=ROWS_PER_BATCH):
                    yield _with_partition(rows, schema, file)
            except (OSError, pa.ArrowException) as error:
                found = Damage({}, file["path"], f"cannot be read: {words(error)}")
                raise lake.damage_error(table, found) from error

    return listed.mapInArrow(read_files, from_arrow_schema(schema))


def _stage(rows: DataFrame, lake: Lake, table: type[Table], partition: Mapping[str, str]) -> list[StagedFile]:
    """Files written by Spark's tasks, one a task."""

    def stage(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        file = lake.stage(table, map(with_lists, batches), partition)
        if file:
            yield pa.RecordBatch.from_pylist([{"path": file.path, "size": file.size, "rows": file.rows}])

    return [StagedFile(*row) for row in rows.mapInArrow(stage, "path string, size long, rows long").collect()]


def _with_partition(rows: pa.RecordBatch, schema: pa.Schema, file: Mapping[str, str]) -> pa.RecordBatch:
    """The file's rows under `schema`, partition columns filled in from the file's place."""
    columns = [
        pa.repeat(pa.scalar(file[field.name]).cast(field.type), rows.num_rows)
        if field.name in file
        else rows.column(field.name).cast(field.type)
        if field.name in rows.schema.names
        else pa.nulls(rows.num_rows, field.type)  # the file is from before the table had this column
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
