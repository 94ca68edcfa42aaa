"""What is written is what is read: partitions are replaced whole, and only what a commit names counts."""

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from lake import views
from lake.errors import LakeError
from lake.lake import Lake
from schemas.table import Table
from schemas.tables import UserEmbeddings

NIGHT = dt.date(2026, 11, 1)


class Contents(Table):
    """One content, which outlives its night."""

    name = "contents"
    schema = pa.schema(
        [pa.field("content_key", pa.string()), pa.field("encoder", pa.string()), pa.field("date", pa.date32())]
    )
    partition_by = ("encoder",)
    key = ("content_key", "encoder")


def embeddings(*users: str, night: dt.date = NIGHT, value: float = 1.0) -> pa.Table:
    rows = [{"date": night, "user_id": u, "model_version": "m", "vector": [value, 0.0]} for u in users]
    return pa.Table.from_pylist(rows, schema=UserEmbeddings.schema)


def texts(*keys: str, night: dt.date = NIGHT) -> pa.Table:
    rows = [{"content_key": k, "encoder": "e", "date": night} for k in keys]
    return pa.Table.from_pylist(rows, schema=Contents.schema)


def users(lake: Lake) -> list[str]:
    return sorted(lake.read(UserEmbeddings)["user_id"].to_pylist())


def test_a_table_before_its_first_commit_is_empty(lake: Lake) -> None:
    assert lake.read(UserEmbeddings).schema == UserEmbeddings.schema
    assert lake.count(UserEmbeddings, {"date": "2026-11-01"}) == 0


def test_writing_replaces_the_partition_and_no_other(lake: Lake) -> None:
    lake.write(UserEmbeddings, embeddings("a", "b"), {"date": NIGHT})
    lake.write(UserEmbeddings, embeddings("c", night=dt.date(2026, 11, 2)), {"date": "2026-11-02"})
    lake.write(UserEmbeddings, embeddings("z"), {"date": NIGHT})
    assert users(lake) == ["c", "z"]
    assert lake.count(UserEmbeddings, {"date": "2026-11-01"}) == 1


def test_arrow_reads_without_python(lake: Lake) -> None:
    """Threads of Arrow that outlive the interpreter abort the process where a read has to call Python."""
    lake.write(UserEmbeddings, embeddings("a"), {"date": NIGHT})
    place = lake.dataset(UserEmbeddings).filesystem
    assert isinstance(place, pafs.SubTreeFileSystem) and isinstance(place.base_fs, pafs.LocalFileSystem)


def test_a_lake_whose_path_has_spaces_and_umlauts(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "our lake, größer"))
    lake.write(UserEmbeddings, embeddings("a"), {"date": NIGHT})
    assert users(lake) == ["a"]


def test_a_partition_can_become_empty(lake: Lake) -> None:
    lake.write(UserEmbeddings, embeddings("a"), {"date": NIGHT})
    lake.write(UserEmbeddings, embeddings(), {"date": NIGHT})
    assert users(lake) == []


def test_staged_files_mean_nothing_until_a_commit_names_them(lake: Lake) -> None:
    lake.write(UserEmbeddings, embeddings("a"), {"date": NIGHT})
    lake.stage(UserEmbeddings, embeddings("b").to_batches(), {"date": "2026-11-01"})
    assert users(lake) == ["a"]


def test_the_files_hold_the_types_that_the_log_declares(lake: Lake) -> None:
    """Polars reads no table whose files say fixed-size list where its log says list."""
    lake.write(UserEmbeddings, embeddings("a"), {"date": NIGHT})
    (file,) = DeltaTable(lake.table_uri(UserEmbeddings)).file_uris()
    assert pq.read_schema(file.removeprefix("file://")).field("vector").type == pa.list_(pa.float32())


def test_files_with_vectors_of_a_fixed_width_are_read_beside_others(lake: Lake) -> None:
    """As earlier versions wrote them."""
    lake.write(UserEmbeddings, embeddings("a", "b"), {"date": NIGHT})
    (file,) = DeltaTable(lake.table_uri(UserEmbeddings)).file_uris()
    rows = pq.ParquetFile(file.removeprefix("file://")).read()
    place = rows.schema.get_field_index("vector")
    fixed = rows.set_column(place, "vector", rows["vector"].cast(pa.list_(pa.float32(), 2)))
    pq.write_table(fixed, file.removeprefix("file://"))
    lake.write(UserEmbeddings, embeddings("c", night=dt.date(2026, 11, 2)), {"date": "2026-11-02"})
    assert lake.read(UserEmbeddings)["vector"].to_pylist() == [[1.0, 0.0]] * 3


def test_vectors_of_a_file_have_one_width(lake: Lake) -> None:
    wider = embeddings("b").set_column(3, "vector", pa.array([[1.0, 0.0, 0.0]], pa.list_(pa.float32())))
    both = pa.concat_tables([embeddings("a"), wider.cast(UserEmbeddings.schema)])
    for rows in (both, both.combine_chunks()):
        with pytest.raises(LakeError, match=r"user_embeddings: vectors of date=2026-11-01 differ in width: \[2, 3\]"):
            lake.write(UserEmbeddings, rows, {"date": NIGHT})
    assert lake.count(UserEmbeddings, {"date": "2026-11-01"}) == 0


def test_the_log_describes_every_column(lake: Lake) -> None:
    lake.write(UserEmbeddings, embeddings("a"), {"date": NIGHT})
    declared = DeltaTable(lake.table_uri(UserEmbeddings)).schema().fields
    described = {column.name: column.description for column in UserEmbeddings.described}
    assert {field.name: field.metadata["comment"] for field in declared} == described


def test_partitions_outside_the_condition_are_left_alone(lake: Lake) -> None:
    lake.write(UserEmbeddings, embeddings("a"), {"date": NIGHT})
    lake.write(UserEmbeddings, embeddings("b", night=dt.date(2026, 11, 2)), {"date": "2026-11-02"})
    rows = lake.read(UserEmbeddings, where=pc.field("date") <= pa.scalar(NIGHT), columns=["user_id"])
    assert rows["user_id"].to_pylist() == ["a"]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "COPY user_embeddings TO '/tmp/nightweave-leak.csv'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
    ],
)
def test_sql_reaches_the_tables_and_nothing_else(lake: Lake, sql: str) -> None:
    import duckdb

    with pytest.raises(duckdb.Error):
        views.connect(lake).sql(sql)
