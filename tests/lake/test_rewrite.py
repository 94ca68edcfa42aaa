"""Files are written anew: rows stay, or give way to others with their key, in one commit."""

import datetime as dt
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake import rewrite
from lake.errors import LakeError
from lake.lake import Lake
from schemas.features import FeaturesVideo
from schemas.tables import UserEmbeddings
from tests.lake.test_lake import NIGHT, Contents, embeddings, texts

BIG = 1 << 20
DAY = {"date": str(NIGHT)}
ENCODER = {"encoder": "e"}


def scattered(lake: Lake) -> None:
    """A night in three files, one row each, and another in one."""
    files = [lake.stage(UserEmbeddings, embeddings(user).to_batches(), DAY) for user in "cab"]
    lake.replace(UserEmbeddings, [file for file in files if file], DAY)
    second = NIGHT + dt.timedelta(days=1)
    lake.write(UserEmbeddings, embeddings("z", night=second), {"date": second})


def test_small_files_of_a_partition_become_one_sorted_by_key(lake: Lake) -> None:
    scattered(lake)
    before = lake.read(UserEmbeddings).sort_by("user_id")
    (merge,) = rewrite.compact(lake, UserEmbeddings, target_bytes=BIG)
    assert (merge.partition, len(merge.paths), merge.rows) == (DAY, 3, 3)
    assert lake.read(UserEmbeddings).sort_by("user_id").equals(before)
    assert lake.files(UserEmbeddings).num_rows == 2
    (path,) = [p for p in lake.files(UserEmbeddings)["path"].to_pylist() if str(NIGHT) in p]
    filesystem, root = lake.filesystem(UserEmbeddings)
    file = pq.read_table(f"{root}/{path}", filesystem=filesystem, partitioning=None)
    assert file["user_id"].to_pylist() == ["a", "b", "c"]


def test_what_is_one_file_already_is_left_alone(lake: Lake) -> None:
    scattered(lake)
    rewrite.compact(lake, UserEmbeddings, target_bytes=BIG)
    version = lake.current(UserEmbeddings).version()
    assert rewrite.compact(lake, UserEmbeddings, target_bytes=BIG) == []
    assert lake.current(UserEmbeddings).version() == version


def test_merged_files_stay_below_the_target(lake: Lake) -> None:
    scattered(lake)
    sizes = lake.files(UserEmbeddings)["size_bytes"].to_pylist()
    merged = rewrite.merges(lake, UserEmbeddings, target_bytes=2 * max(sizes))
    assert [len(merge.paths) for merge in merged] == [2]


def test_a_commit_of_a_merge_says_that_no_row_changes(lake: Lake) -> None:
    scattered(lake)
    rewrite.compact(lake, UserEmbeddings, target_bytes=BIG)
    _, root = lake.filesystem(UserEmbeddings)
    last = sorted(Path(root, "_delta_log").glob("*.json"))[-1]
    actions = [json.loads(line) for line in last.read_text().splitlines()]
    changes = [a[kind]["dataChange"] for a in actions for kind in ("add", "remove") if kind in a]
    assert changes == [False] * 4


def test_a_partition_that_is_replaced_during_a_merge_is_left_to_its_writer(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    scattered(lake)
    merged = rewrite._merged

    def while_a_night_writes(*arguments) -> object:
        file = merged(*arguments)
        lake.write(UserEmbeddings, embeddings("new"), DAY)
        return file

    monkeypatch.setattr(rewrite, "_merged", while_a_night_writes)
    assert rewrite.compact(lake, UserEmbeddings, target_bytes=BIG) == []
    assert sorted(lake.read(UserEmbeddings)["user_id"].to_pylist()) == ["new", "z"]
    _, root = lake.filesystem(UserEmbeddings)
    assert len(list(Path(root).rglob("part-*.parquet"))) == 3 + 1 + 1, "the merged file is gone again"


def test_rows_of_another_partition_written_meanwhile_stay(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    scattered(lake)
    third, merged = NIGHT + dt.timedelta(days=2), rewrite._merged

    def while_a_night_writes(*arguments) -> object:
        lake.write(UserEmbeddings, embeddings("late", night=third), {"date": third})
        return merged(*arguments)

    monkeypatch.setattr(rewrite, "_merged", while_a_night_writes)
    assert len(rewrite.compact(lake, UserEmbeddings, target_bytes=BIG)) == 1
    assert sorted(lake.read(UserEmbeddings)["user_id"].to_pylist()) == ["a", "b", "c", "late", "z"]


def test_a_file_without_the_rows_that_the_log_counts_is_not_merged(lake: Lake) -> None:
    scattered(lake)
    filesystem, root = lake.filesystem(UserEmbeddings)
    path = next(p for p in lake.files(UserEmbeddings)["path"].to_pylist() if str(NIGHT) in p)
    rows = pq.read_table(f"{root}/{path}", filesystem=filesystem, partitioning=None)
    pq.write_table(pa.concat_tables([rows, rows]), f"{root}/{path}", filesystem=filesystem)
    with pytest.raises(LakeError, match=r"4 rows in .* 3 by the log"):
        rewrite.compact(lake, UserEmbeddings, target_bytes=BIG)
    assert lake.files(UserEmbeddings).num_rows == 4


def test_a_file_with_a_flipped_bit_is_not_merged(lake: Lake) -> None:
    """Merged, its damage would stand under checksums that are right, and no reader could see it."""
    scattered(lake)
    _, root = lake.filesystem(UserEmbeddings)
    path = next(p for p in lake.files(UserEmbeddings)["path"].to_pylist() if str(NIGHT) in p)
    file = Path(root, path)
    vectors = pq.ParquetFile(file).metadata.row_group(0).column(2)
    data = bytearray(file.read_bytes())
    data[vectors.data_page_offset + vectors.total_compressed_size // 2] ^= 0x10
    file.write_bytes(data)
    with pytest.raises(LakeError, match=rf"user_embeddings: {path} is damaged"):
        rewrite.compact(lake, UserEmbeddings, target_bytes=BIG)
    assert lake.files(UserEmbeddings).num_rows == 4


def test_nested_columns_survive_a_merge(lake: Lake) -> None:
    def film(key: str) -> pa.Table:
        empty = {"key": [], "map": [("face", 2)]}
        row = {"content_key": key, "encoder": "e", "date": NIGHT, "vector": [1.0, 2.0]}
        for field in FeaturesVideo.columns:
            if pa.types.is_map(field.type):
                row[field.name] = empty["map"]
            elif pa.types.is_list(field.type):
                row[field.name] = [0.5]
            else:
                row[field.name] = None if field.nullable else pa.scalar(1).cast(field.type).as_py()
        return pa.Table.from_pylist([row], schema=FeaturesVideo.schema)

    for key in "ba":
        lake.append_new(FeaturesVideo, [lake.stage(FeaturesVideo, film(key).to_batches(), ENCODER)], ENCODER)
    assert len(rewrite.compact(lake, FeaturesVideo, target_bytes=BIG)) == 1
    rows = lake.read(FeaturesVideo).to_pylist()
    assert [row["content_key"] for row in rows] == ["a", "b"]
    assert rows[0]["objects"] == [("face", 2)] and rows[1]["vector"] == [1.0, 2.0]


def test_put_replaces_rows_by_key_and_doubles_none(lake: Lake) -> None:
    later = NIGHT + dt.timedelta(days=1)
    for keys in (("a", "b"), ("c",)):
        lake.append_new(Contents, [lake.stage(Contents, texts(*keys).to_batches(), ENCODER)], ENCODER)
    version = lake.current(Contents).version()
    put = rewrite.put(
        lake, Contents, [lake.stage(Contents, texts("b", "d", night=later).to_batches(), ENCODER)], ENCODER
    )
    assert put == 2
    assert lake.current(Contents).version() == version + 1
    rows = {row["content_key"]: row["date"] for row in lake.read(Contents).to_pylist()}
    assert rows == {"a": NIGHT, "b": later, "c": NIGHT, "d": later}
    assert len(lake.read(Contents)) == 4


def test_put_leaves_other_partitions_alone(lake: Lake) -> None:
    lake.append_new(Contents, [lake.stage(Contents, texts("a").to_batches(), ENCODER)], ENCODER)
    other = {"encoder": "f"}
    rewrite.put(lake, Contents, [lake.stage(Contents, texts("a").to_batches(), other)], other)
    assert sorted(lake.read(Contents)["encoder"].to_pylist()) == ["e", "f"]


def test_put_takes_rows_away_that_are_to_go(lake: Lake) -> None:
    lake.append_new(Contents, [lake.stage(Contents, texts("a", "b").to_batches(), ENCODER)], ENCODER)
    assert rewrite.put(lake, Contents, [], ENCODER, without=["b", "unknown"]) == 0
    assert lake.read(Contents)["content_key"].to_pylist() == ["a"]
    version = lake.current(Contents).version()
    assert rewrite.put(lake, Contents, [], ENCODER, without=["unknown"]) == 0
    assert lake.current(Contents).version() == version
