"""One law orders the versions of an item, for cleaning, for readers and for what `verify` promises."""

import datetime as dt
import json
import random
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from jobs import clean
from jobs.verify import findings
from lake import asof, views
from lake.lake import Lake
from lake.rows import Engine
from schemas.table import TIMESTAMP
from schemas.tables import COUNTS_AS_OF
from tests.jobs.nights import a_night, run_night

FIRST, SECOND = "2026-11-01", "2026-11-02"
CHEAP = Path(__file__).parents[1] / "services" / "cheap.yaml"
ITEMS = [{"item_id": f"base-{n:02}", "title": f"Thing no. {n}", "category": "home"} for n in range(40)]
EVENTS = [
    {
        "user_id": f"user-{user:02}",
        "item_id": f"base-{(user * 7 + place * 3) % 40:02}",
        "timestamp": f"2026-10-{10 + place}T{user:02}:15:00Z",
        "event": "like",
    }
    for user in range(24)
    for place in range(6)
]


def land(raw: Path, kind: str, night: str, rows: list[dict[str, Any]], *, name: str = "a") -> None:
    folder = raw / kind / f"ds={night}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="module")
def two_nights(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Items with times that cannot be, and tombstones that are older than what they bury, or bear no time."""
    place = tmp_path_factory.mktemp("versions")
    future = [
        {"item_id": "y9999", "title": "sentinel", "updated_at": "9999-12-31T00:00:00Z"},
        {"item_id": "future", "title": "clock ahead", "updated_at": "2036-11-01T00:00:00Z"},
        {"item_id": "compact", "title": "compact time", "updated_at": "20261101120000"},
    ]
    there = [{"item_id": name, "title": name, "updated_at": f"{FIRST}T12:00:00Z"} for name in ("old", "none", "late")]
    land(place / "raw", "items", FIRST, [*ITEMS, *future, *there])
    land(place / "raw", "interactions", FIRST, EVENTS)
    gone = {
        **dict.fromkeys(("y9999", "future", "compact"), f"{SECOND}T09:00:00Z"),
        "old": "2026-10-25T12:00:00Z",
        "none": None,
        "late": "2030-01-01T00:00:00Z",
    }
    tombstones = [{"item_id": name, "deleted": True, "updated_at": at} for name, at in gone.items()]
    # Items of the night itself, so that one refused row is no large share.
    land(place / "raw", "items", SECOND, [*tombstones, *ITEMS[:10]])
    lake = Lake(str(place / "lake"))
    for night in (FIRST, SECOND):
        run_night(engine, a_night(night, place / "raw", lake, config=str(CHEAP)))
    return lake


@pytest.mark.night
def test_times_that_cannot_be_are_refused_with_their_cause(two_nights: Lake) -> None:
    rows = views.connect(two_nights).sql("SELECT date, record_id, reason FROM quarantine ORDER BY ALL").fetchall()
    first, second = dt.date(2026, 11, 1), dt.date(2026, 11, 2)
    assert rows == [
        (first, "future", "updated_at_in_future"),
        (first, "y9999", "updated_at_in_future"),
        (second, "late", "updated_at_in_future"),
    ]


@pytest.mark.night
def test_cleaning_readers_and_verify_agree_on_what_is_deleted(two_nights: Lake) -> None:
    known = {name["item_id"] for name in ITEMS}
    ids = [set(asof.items(two_nights, dt.date(2026, 11, n))["item_id"].to_pylist()) - known for n in (1, 2)]
    assert ids == [{"compact", "old", "none", "late"}, {"old", "late"}]
    shown = "SELECT DISTINCT item_id FROM recommendations WHERE date = '2026-11-02' AND item_id NOT LIKE 'base-%'"
    assert {row[0] for row in views.connect(two_nights).sql(shown).fetchall()} == {"old", "late"}
    assert findings(two_nights)[1] == []


@pytest.mark.parametrize(
    ("versions", "kept"),
    [
        ([("2026-11-01T12:00:00Z", "new"), ("2026-10-30T12:00:00Z", "older")], "new"),
        ([(None, "without"), ("2026-11-01T23:00:00Z", "of the day")], "without"),
        ([("2026-11-02T00:00:00.000001Z", "of the next day"), (None, "without")], "of the next day"),
        ([("2026-11-01T12:00:00Z", "first"), ("2026-11-01T12:00:00Z", "second")], "second"),
        ([(None, "first"), (None, "second")], "second"),
        ([("2036-11-01T12:00:00Z", "refused"), ("2026-10-30T12:00:00Z", "older")], "older"),
    ],
)
def test_of_the_versions_of_one_night_the_latest_is_kept(
    engine: Engine, tmp_path: Path, versions: list[tuple[str | None, str]], kept: str
) -> None:
    rows = [{"item_id": "x", "title": title, "updated_at": at} for at, title in versions]
    land(tmp_path / "raw", "items", FIRST, [*ITEMS[:20], rows[0]], name="a")
    land(tmp_path / "raw", "items", FIRST, rows[1:], name="b")
    lake = Lake(str(tmp_path / "lake"))
    clean.clean_items(engine, a_night(FIRST, tmp_path / "raw", lake))
    titles = dict(views.connect(lake).sql("SELECT item_id, title FROM items").fetchall())
    assert titles["x"] == kept


def test_spark_and_duckdb_read_the_law_alike(spark: SparkSession) -> None:
    draw = random.Random(5)
    start = dt.datetime(2026, 10, 25, tzinfo=dt.UTC)
    rows = [
        {
            "row": n,
            "date": dt.date(2026, 11, 1) + dt.timedelta(draw.randrange(3)),
            "updated_at": draw.choice([None, start + dt.timedelta(microseconds=draw.randrange(12 * 86_400_000_000))]),
        }
        for n in range(500)
    ]
    edges = [dt.datetime(2026, 11, n, tzinfo=dt.UTC) for n in (1, 2, 3)]
    rows += [{"row": 500 + n, "date": dt.date(2026, 11, 1), "updated_at": at} for n, at in enumerate(edges)]
    schema = pa.schema([("row", pa.int64()), ("date", pa.date32()), ("updated_at", TIMESTAMP)])
    table = pa.Table.from_pylist(rows, schema=schema)
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.register("versions", table)
    by_duckdb = connection.sql(f"SELECT epoch_us({COUNTS_AS_OF}) FROM versions ORDER BY row").fetchall()
    frame = spark.createDataFrame(rows, "row long, date date, updated_at timestamp")
    by_spark = frame.selectExpr("row", f"unix_micros(CAST({COUNTS_AS_OF} AS TIMESTAMP)) AS at").orderBy("row").collect()
    assert [at for (at,) in by_duckdb] == [row["at"] for row in by_spark]
    assert by_duckdb[500:] == [(1793491200000000,), (1793577600000000,), (1793577600000000,)]
