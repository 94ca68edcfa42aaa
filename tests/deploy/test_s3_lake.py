"""RAW and LAKE on S3: what commits rely on there, and what is said where the store cannot be used."""

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.landing.raw import LandingZoneError, Raw, Refusal
from lake import storage, views
from lake.lake import Lake
from lake.storage import StorageError
from schemas.tables import UserEmbeddings
from tests.lake.test_lake import NIGHT, embeddings


def test_the_store_takes_one_of_many_puts_of_the_same_version(bucket: str) -> None:
    """What commits rely on, asked of the store itself."""
    from botocore.exceptions import ClientError
    from botocore.session import Session

    client = Session().create_client("s3")
    name, _, key = bucket.removeprefix("s3://").partition("/")

    def put(number: int) -> bool:
        try:
            client.put_object(Bucket=name, Key=f"{key}/version", Body=str(number).encode(), IfNoneMatch="*")
        except ClientError as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] in (409, 412)
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = [number for number, ok in enumerate(pool.map(put, range(32))) if ok]
    assert len(won) == 1
    assert client.get_object(Bucket=name, Key=f"{key}/version")["Body"].read() == str(won[0]).encode()


def test_sql_over_s3_reaches_the_tables_and_nothing_else(bucket: str) -> None:
    import duckdb

    lake = Lake(bucket)
    lake.write(UserEmbeddings, embeddings("a"), {"date": NIGHT})
    connection = views.connect(lake)
    assert connection.sql("SELECT user_id FROM user_embeddings").fetchall() == [("a",)]
    with pytest.raises(duckdb.Error):
        connection.sql(f"SELECT * FROM read_parquet('{bucket}/user_embeddings/*/*.parquet')")


def parquet_of(columns: dict[str, list[str]]) -> bytes:
    data = io.BytesIO()
    pq.write_table(pa.table(columns), data)
    return data.getvalue()


def test_a_landing_zone_on_s3(bucket: str) -> None:
    filesystem, root = storage.filesystem(bucket)
    put = {"items/ds=2026-11-01/items.jsonl": b'{"item_id": "a"}\n', "media/a.wav": b"RIFF", "media/empty": b""}
    put["items/ds=2026-11-01/more.parquet"] = parquet_of({"item_id": ["b", "c"]})
    for path, data in put.items():
        with filesystem.open_output_stream(f"{root}/{path}") as out:
            out.write(data)
    raw = Raw(bucket)
    assert raw.nights("items") == ["2026-11-01"] and raw.nights("interactions") == []
    names = ["items.jsonl", "more.parquet"]
    assert raw.files("items", "2026-11-01") == [f"items/ds=2026-11-01/{name}" for name in names]
    assert raw.unread("items", "2026-11-01") == []
    assert list(raw.records("items/ds=2026-11-01/items.jsonl")) == [(1, {"item_id": "a"})]
    more = raw.records("items/ds=2026-11-01/more.parquet")
    assert list(more) == [(1, {"item_id": "b"}), (2, {"item_id": "c"})] and more.counted == 2
    assert raw.media("media/a.wav", max_bytes=10) == hashlib.sha256(b"RIFF").hexdigest()
    with raw.local("media/a.wav", key=hashlib.sha256(b"RIFF").hexdigest(), max_bytes=10) as path:
        assert path.read_bytes() == b"RIFF"
    for uri, reason in (("media/none.wav", "media_missing"), ("media/empty", "media_size"), ("../x", "outside_raw")):
        with pytest.raises(Refusal, match=reason):
            raw.media(uri, max_bytes=10)


def test_a_landing_zone_that_is_not_there_is_said_to_be_missing(bucket: str) -> None:
    with pytest.raises(LandingZoneError, match="no such folder"):
        Raw(bucket).files("items", "2026-11-01")


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("AWS_SECRET_ACCESS_KEY", "wrong", "credentials"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9", "address"),
    ],
)
def test_a_store_that_cannot_be_used_is_said_in_one_line(
    bucket: str, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, says: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(StorageError, match=says) as told:
        storage.check(bucket)
    assert bucket in str(told.value) and "\n" not in str(told.value)


def test_a_bucket_that_does_not_exist_is_named(s3_environment: None) -> None:
    with pytest.raises(StorageError, match="no bucket 'nosuch'"):
        storage.check("s3://nosuch/lake")


@pytest.mark.parametrize("place", ["ftp://host/lake", "s3://key:secret@bucket/lake"])
def test_uris_that_are_not_taken(place: str) -> None:
    with pytest.raises(StorageError) as told:
        Lake(place)
    assert "secret" not in str(told.value)


def test_arrow_and_delta_are_told_the_same_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://all.example")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://s3.example")
    assert storage.delta_options("s3://b/lake") == {
        "aws_conditional_put": "etag",
        "aws_endpoint_url": "https://s3.example",
        "allow_http": "false",
    }
    assert storage.delta_options("gs://b/lake") == storage.delta_options("file:///lake") == {}


def test_a_table_of_the_lake_is_a_delta_table_for_others(bucket: str) -> None:
    from deltalake import DeltaTable, QueryBuilder

    lake = Lake(bucket)
    lake.write(UserEmbeddings, embeddings("a"), {"date": NIGHT})
    delta = DeltaTable(f"{bucket}/user_embeddings", storage_options={"allow_http": "true"})
    rows = pa.table(QueryBuilder().register("users", delta).execute("SELECT user_id FROM users").read_all())
    assert rows["user_id"].to_pylist() == ["a"]
