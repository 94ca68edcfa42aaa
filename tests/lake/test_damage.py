"""Whoever reads a table that is damaged gets one line with table, file and what to do, and never a wrong value."""

import datetime as dt
import os
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from lake import rewrite, views
from lake.errors import DamageError
from lake.lake import Lake
from schemas.tables import UserEmbeddings
from tests.lake.test_lake import NIGHT, Contents, embeddings, texts

NIGHTS = [NIGHT + dt.timedelta(days=n) for n in range(3)]
LOG = "_delta_log"
Plant = Callable[[Path], object]


@pytest.fixture
def three(lake: Lake) -> Lake:
    """A lake of three nights: version 0 makes the table, each night a version."""
    for night in NIGHTS:
        lake.write(UserEmbeddings, embeddings("a", "b", night=night), {"date": night})
    return lake


def folder(lake: Lake) -> Path:
    return Path(lake.filesystem(UserEmbeddings)[1])


def a_file(lake: Lake, night: dt.date = NIGHT) -> Path:
    (path,) = (folder(lake) / f"date={night}").iterdir()
    return path


def flip(path: Path, column: str = "vector") -> None:
    """Flip a bit of the last page of a column."""
    group = pq.ParquetFile(path).metadata.row_group(0)
    (found,) = (c for c in map(group.column, range(group.num_columns)) if c.path_in_schema.split(".")[0] == column)
    first = found.dictionary_page_offset or found.data_page_offset
    data = bytearray(path.read_bytes())
    data[first + found.total_compressed_size - 1] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def garbled(path: Path) -> None:
    path.write_bytes(b"\xff" + path.read_bytes()[1:])


OF_FILES = {"flipped": flip, "missing": Path.unlink, "cut": cut, "empty": empty}
READERS: dict[str, Callable[[Lake], object]] = {
    "read": lambda lake: lake.read(UserEmbeddings),
    "where": lambda lake: lake.read(UserEmbeddings, where=pc.field("date") == NIGHT, columns=["vector"]),
    "batches": lambda lake: list(lake.batches(UserEmbeddings, columns=["vector"])),
    "compact": lambda lake: rewrite.compact(lake, UserEmbeddings, target_bytes=1 << 20),
    "sql": lambda lake: _asked(lake, "SELECT max(vector::VARCHAR) FROM user_embeddings"),
    "table made by sql": lambda lake: _asked(lake, "CREATE TEMP TABLE t AS FROM user_embeddings"),
}


def _asked(lake: Lake, sql: str) -> object:
    with views.reading(lake) as connection:
        return connection.execute(sql).fetchall()


@pytest.mark.parametrize("plant", OF_FILES.values(), ids=OF_FILES)
@pytest.mark.parametrize("reader", READERS)
def test_every_reader_names_table_file_and_what_to_do(lake: Lake, reader: str, plant: Plant) -> None:
    files = [lake.stage(UserEmbeddings, embeddings(user).to_batches(), {"date": str(NIGHT)}) for user in "ab"]
    lake.replace(UserEmbeddings, [file for file in files if file], {"date": str(NIGHT)})
    damaged = folder(lake) / lake.files(UserEmbeddings)["path"][0].as_py()
    plant(damaged)
    with pytest.raises(DamageError) as raised:
        READERS[reader](lake)
    said = str(raised.value)
    assert said.startswith(f"user_embeddings: {damaged.relative_to(folder(lake))} ")
    assert f"nightweave repair --lake {lake.uri} " in said and "\n" not in said


@pytest.mark.parametrize("plant", OF_FILES.values(), ids=OF_FILES)
def test_rows_are_not_replaced_by_key_in_a_damaged_file(lake: Lake, plant: Plant) -> None:
    encoder = {"encoder": "e"}
    lake.append_new(Contents, [lake.stage(Contents, texts("a", "b").to_batches(), encoder)], encoder)
    root = Path(lake.filesystem(Contents)[1])
    path = root / lake.files(Contents)["path"][0].as_py()
    flip(path, "date") if plant is flip else plant(path)
    with pytest.raises(DamageError, match="contents: encoder=e/part-"):
        rewrite.put(lake, Contents, [lake.stage(Contents, texts("b").to_batches(), encoder)], encoder)
    assert lake.version(Contents) == 1


def test_what_a_reader_leaves_alone_may_be_damaged(three: Lake) -> None:
    cut(a_file(three, NIGHTS[1]))
    assert len(three.read(UserEmbeddings, where=pc.field("date") == NIGHT)) == 2


def test_an_error_of_the_users_stays_what_it_is(three: Lake) -> None:
    cut(a_file(three))
    with pytest.raises(Exception, match="nosuch") as raised:
        _asked(three, "SELECT nosuch FROM user_embeddings")
    assert not isinstance(raised.value, DamageError)


OF_COMMITS = {"cut": cut, "empty": empty, "garbled": garbled}


@pytest.mark.parametrize("version", range(4))
@pytest.mark.parametrize("plant", OF_COMMITS.values(), ids=OF_COMMITS)
def test_a_damaged_commit_is_named(three: Lake, plant: Plant, version: int) -> None:
    commit = folder(three) / LOG / f"{version:020}.json"
    plant(commit)
    for reader in READERS.values():
        with pytest.raises(DamageError, match=re.escape(f"user_embeddings: {LOG}/{commit.name} ")) as raised:
            reader(three)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("version", range(3))
def test_a_missing_commit_is_named(three: Lake, version: int) -> None:
    (folder(three) / LOG / f"{version:020}.json").unlink()
    with pytest.raises(DamageError, match=rf"user_embeddings: {LOG}/{version:020}\.json is missing"):
        three.read(UserEmbeddings)


def test_a_commit_cut_off_between_two_lines_is_found(three: Lake) -> None:
    """Delta reads what is left."""
    commit = folder(three) / LOG / f"{2:020}.json"
    commit.write_bytes(commit.read_bytes().partition(b"\n")[2])
    (found,) = three.damaged(UserEmbeddings)
    assert str(found) == f"{LOG}/{commit.name} is cut off: it has no commitInfo"


@pytest.fixture
def checkpoint(three: Lake) -> Path:
    """The checkpoint of version 3, after which came a fourth night."""
    delta = three.delta(UserEmbeddings)
    assert delta
    delta.create_checkpoint()
    night = NIGHT + dt.timedelta(days=3)
    three.write(UserEmbeddings, embeddings("a", night=night), {"date": night})
    (path,) = (folder(three) / LOG).glob("*.checkpoint.parquet")
    return path


@pytest.mark.parametrize("plant", [cut, empty])
def test_a_damaged_checkpoint_is_named(three: Lake, checkpoint: Path, plant: Plant) -> None:
    plant(checkpoint)
    with pytest.raises(DamageError, match=re.escape(f"user_embeddings: {LOG}/{checkpoint.name} is damaged")):
        three.read(UserEmbeddings)


def test_a_missing_checkpoint_is_named(three: Lake, checkpoint: Path) -> None:
    checkpoint.unlink()
    with pytest.raises(DamageError, match=f"user_embeddings: {LOG}/_last_checkpoint names checkpoint 3"):
        three.read(UserEmbeddings)


def test_commits_before_a_checkpoint_are_not_needed(three: Lake, checkpoint: Path) -> None:
    empty(folder(three) / LOG / f"{1:020}.json")
    assert len(three.read(UserEmbeddings)) == 7 and list(three.damaged(UserEmbeddings)) == []


def test_a_lake_that_cannot_be_reached_is_not_called_damaged(three: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    from lake import lake as module

    def unreachable(*_: object, **__: object) -> None:
        raise module.DeltaError("Generic S3 error: connection refused")

    monkeypatch.setattr(module, "DeltaTable", unreachable)
    with pytest.raises(
        module.LakeError, match="user_embeddings: its log cannot be read: DeltaError: Generic S3"
    ) as told:
        three.read(UserEmbeddings)
    assert not isinstance(told.value, DamageError)


def test_whether_there_is_a_lake(three: Lake, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.mkdir(tmp_path / "folder")
    assert three.exists()
    assert not any(Lake(str(tmp_path / name)).exists() for name in ("file", "folder", "nothing"))


def test_parquet_of_the_lake_is_read_in_one_place() -> None:
    """The one that checks pages. What lands in RAW has a reader of its own, which checks them too; the SQL of
    `warehouse` is for DuckDB's own reader, elsewhere."""
    unchecked = re.compile(r"\b(read_table|ParquetFile|ParquetDataset|read_parquet)\(")
    root = Path(__file__).resolve().parents[2]
    files = [path for room in ("lake", "jobs") for path in (root / room).rglob("*.py") if "landing" not in path.parts]
    assert len(files) > 50
    reading = [path.name for path in files if unchecked.search(path.read_text("utf-8"))]
    assert sorted(reading) == ["parquet.py", "warehouse.py"]
