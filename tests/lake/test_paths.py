"""RAW and LAKE may lie in folders of any name: their URIs are percent-encoded, once and in one place."""

import datetime as dt
import os
from pathlib import Path

import pyarrow.fs as pafs
import pytest

from jobs.landing.raw import Raw
from lake import files, rewrite, storage, vacuum, views
from lake.lake import Lake
from lake.rows import Engine
from lake.storage import StorageError
from schemas.tables import UserEmbeddings
from tests import seaweed
from tests.lake.test_lake import NIGHT, embeddings, users

NAMES = ["a b", "a#b", "a?b", "50% off", "100%", "%zz", "a&b=c+d", "a'b\"c", "[x]{y}*", "a;b:c@d", "日本 é"]
DAY = {"date": str(NIGHT)}


def used(lake: Lake) -> None:
    """Write to a lake and read from it, in every way that there is."""
    lake.write(UserEmbeddings, embeddings("old"), DAY)
    staged = [lake.stage(UserEmbeddings, embeddings(user).to_batches(), DAY) for user in "ab"]
    lake.replace(UserEmbeddings, [file for file in staged if file], DAY)
    assert users(lake) == ["a", "b"]
    assert views.connect(lake).sql("SELECT count(*) FROM user_embeddings").fetchall() == [(2,)]
    assert list(lake.damaged(UserEmbeddings)) == []
    assert [merge.rows for merge in rewrite.compact(lake, UserEmbeddings, target_bytes=1 << 20)] == [2]
    files.write_json(lake, "choices/x.json", {"a": 1})
    assert files.read_json(lake, "choices/x.json") == {"a": 1}


@pytest.mark.parametrize("name", NAMES)
def test_a_lake_lies_where_it_was_put(tmp_path: Path, name: str) -> None:
    used(Lake(str(tmp_path / name)))
    assert os.listdir(tmp_path) == [name]
    assert sorted(os.listdir(tmp_path / name)) == ["choices", "user_embeddings"]
    as_uri = Lake((tmp_path / name).as_uri())
    assert as_uri == Lake(str(tmp_path / name)) and users(as_uri) == ["a", "b"]


def test_an_engine_reads_and_writes_it(either: Engine, tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "a #b?c 5%"))
    lake.write(UserEmbeddings, embeddings("a", "b"), DAY)
    rows = either.read(lake, UserEmbeddings, ("date", "=", str(NIGHT)))
    rows.select("SELECT * FROM {rows} WHERE user_id = 'b'").replace(lake, UserEmbeddings, DAY, order=["user_id"])
    assert users(lake) == ["b"]


@pytest.mark.parametrize("name", [*NAMES, "a%20b", "a\\b"])
def test_a_landing_zone_is_read_where_it_is(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name / "items" / "ds=2026-11-01"
    folder.mkdir(parents=True)
    (folder / "a #1.jsonl").write_text('{"item_id": "x"}\n')
    (tmp_path / name / "x.png").write_bytes(b"abc")
    for place in (str(tmp_path / name), (tmp_path / name).as_uri()):
        raw = Raw(place)
        assert raw.nights("items") == ["2026-11-01"]
        (path,) = raw.files("items", "2026-11-01")
        assert list(raw.records(path)) == [(1, {"item_id": "x"})]
        assert raw.media("x.png", max_bytes=10).startswith("ba7816bf")


def test_files_that_nobody_needs_are_found_in_it(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "a #b 5%"))
    lake.write(UserEmbeddings, embeddings("a"), DAY)
    orphan = lake.stage(UserEmbeddings, embeddings("nobody").to_batches(), DAY)
    assert orphan
    found = vacuum.unneeded(lake, UserEmbeddings, before=dt.datetime.now(dt.UTC) + dt.timedelta(hours=1))
    assert [(file.kind, Path(file.path).name) for file in found] == [("orphan", Path(orphan.path).name)]


@pytest.mark.parametrize("name", ["a%20b", "%41", "a%2Fb", "a\\b"])
def test_a_name_that_deltas_client_misreads_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    for place in (str(tmp_path / name), (tmp_path / name).as_uri()):
        with pytest.raises(StorageError, match="rename the folder"):
            Lake(place)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("place", "uri"),
    [
        ("file:///srv/a b", "file:///srv/a%20b"),
        ("file:///srv/a%20b/", "file:///srv/a%20b"),
        ("file:///srv/a#b?c", "file:///srv/a%23b%3Fc"),
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/a#b/c?d", "s3://bucket/a%23b/c%3Fd"),
        ("hdfs://name:9000/a b", "hdfs://name:9000/a%20b"),
    ],
)
def test_a_uri_is_encoded_once(place: str, uri: str) -> None:
    assert storage.as_uri(place) == uri == storage.as_uri(uri)


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("http://example.org/lake", "expected a path, or a URI"),
        ("s3://key:secret@bucket/lake", "^s3://bucket/lake: leave credentials out"),
        ("file://srv/lake", "without a host"),
        ("s3://bucket#lake/x", "expected s3://NAME/PATH"),
        ("s3://bucket?region=x", "expected s3://NAME/PATH"),
    ],
)
def test_what_is_no_place_is_named(place: str, says: str) -> None:
    with pytest.raises(StorageError, match=says):
        storage.as_uri(place)


@pytest.mark.parametrize("name", ["a b", "a#b", "a?b", "100%25", "é"])
def test_a_lake_in_a_bucket_lies_where_it_was_put(bucket: str, name: str) -> None:
    lake = Lake(f"{bucket}/{name}")
    lake.write(UserEmbeddings, embeddings("a"), DAY)
    assert users(lake) == ["a"]
    store, _ = pafs.FileSystem.from_uri(bucket)
    folder = f"{seaweed.BUCKET}/{bucket.rpartition('/')[2]}"
    assert [info.base_name for info in store.get_file_info(pafs.FileSelector(folder))] == [name.replace("%25", "%")]
