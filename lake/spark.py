"""The lake's tables as Spark DataFrames.

Reading: the driver lists a table's live files, Spark's workers read them. Writing: the workers write files, the driver
makes one commit of those that finished tasks report, so that a failed or repeated task adds no row.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from lake import parquet
from lake.damage import Damage, words
from lake.lake import Lake, StagedFile
from schemas.table import Table

OPERATORS = {"=": pc.equal, "<=": pc.less_equal}
ROWS_PER_BATCH = 2000


def read(
    spark: SparkSession, lake: Lake, table: type[Table], *where: tuple[str, str, str], columns: Sequence[str] = ()
) -> DataFrame:
    """Return rows of a table as of now.

    Args:
        where: conditions on partition columns, such as `("date", "<=", "2026-11-07")`; all must hold.
        columns: those to read; all unless given.
    """
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


def replace(
    rows: DataFrame,
    lake: Lake,
    table: type[Table],
    partition: Mapping[str, str],
    *,
    made_from: Mapping[str, int] | None = None,
) -> None:
    """Make `rows` the whole content of a partition, in one commit.

    Args:
        rows: a column `vector` may hold the bytes of its numbers, float32 in little-endian order, all of one width:
            Spark takes many times longer to pass lists of numbers on.
        made_from: as in `Lake.replace`.
    """
    lake.replace(table, _stage(rows, lake, table, partition), partition, made_from=made_from)


def _stage(rows: DataFrame, lake: Lake, table: type[Table], partition: Mapping[str, str]) -> list[StagedFile]:
    """Files written by Spark's tasks, one a task; columns that the table lacks are left out."""

    def stage(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        file = lake.stage(table, map(_with_lists, batches), partition)
        if file:
            yield pa.RecordBatch.from_pylist([{"path": file.path, "size": file.size, "rows": file.rows}])

    wanted = rows.select([field.name for field in table.schema])
    return [StagedFile(*row) for row in wanted.mapInArrow(stage, "path string, size long, rows long").collect()]


def _with_lists(rows: pa.RecordBatch) -> pa.RecordBatch:
    """The rows, vectors that are bytes as lists of their numbers."""
    place = rows.schema.get_field_index("vector")
    if place < 0 or not pa.types.is_binary(rows.column(place).type) or not rows.num_rows:
        return rows
    numbers = np.frombuffer(b"".join(rows.column(place).to_pylist()), "<f4")
    lists = pa.FixedSizeListArray.from_arrays(pa.array(numbers), len(numbers) // rows.num_rows)
    return rows.set_column(place, "vector", lists)


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
