"""The views beside the tables, on nights that were drawn by hand."""

import datetime as dt

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from lake import views
from lake.lake import Lake
from schemas.table import Table
from schemas.tables import TABLES, Items, Ledger, Metrics, Models, Quarantine, Recommendations
from tests.test_schemas import a_row

FIRST, SECOND, THIRD = (dt.date(2026, 11, day) for day in (1, 2, 3))


def write(lake: Lake, table: type[Table], *rows: dict) -> None:
    """Write rows, each a usual one plus what is given of it."""
    whole = [a_row(table, row) for row in rows]
    for values in {tuple(row[column] for column in table.partition_by) for row in whole}:
        partition = dict(zip(table.partition_by, values, strict=True))
        here = [row for row in whole if all(row[column] == value for column, value in partition.items())]
        lake.write(table, pa.Table.from_pylist(here, schema=table.schema), partition)


def version(item: str, night: dt.date, title: str, **more: object) -> dict:
    return {"date": night, "item_id": item, "title": title, "updated_at": None, "deleted": False} | more


def place(night: dt.date, user: str, rank: int, item: str, shelf: str = "for_you") -> dict:
    return {"date": night, "user_id": user, "shelf": shelf, "rank": rank, "item_id": item}


@pytest.fixture
def ask(lake: Lake) -> duckdb.DuckDBPyConnection:
    """
    lamp           1st, with a new title on the 2nd
    chair          1st, deleted on the 3rd
    table          2nd, and an older version on the 3rd
    ann, for_you   1st: a b c      3rd: b a d   (she has no shelf on the 2nd)
    bob, for_you   1st: a          2nd: a
    """
    late = dt.datetime(2026, 10, 1, tzinfo=dt.UTC)
    write(
        lake,
        Items,
        version("lamp", FIRST, "old lamp"),
        version("chair", FIRST, "chair"),
        version("lamp", SECOND, "lamp"),
        version("table", SECOND, "table"),
        version("chair", THIRD, "chair", deleted=True),
        version("table", THIRD, "older table", updated_at=late),
    )
    shelves = {(FIRST, "ann"): "abc", (THIRD, "ann"): "bad", (FIRST, "bob"): "a", (SECOND, "bob"): "a"}
    places = [
        place(night, user, rank, item)
        for (night, user), items in shelves.items()
        for rank, item in enumerate(items, start=1)
    ]
    write(lake, Recommendations, *places)
    return views.connect(lake)


def test_the_latest_items_are_those_that_are_not_deleted_each_once(ask: duckdb.DuckDBPyConnection) -> None:
    assert ask.sql("SELECT item_id, title FROM latest_items ORDER BY 1").fetchall() == [
        ("lamp", "lamp"),
        ("table", "table"),
    ]


@pytest.mark.parametrize(
    ("night", "titles"),
    [
        ("2026-10-31", []),
        ("2026-11-01", ["chair", "old lamp"]),
        ("2026-11-02", ["chair", "lamp", "table"]),
        ("2026-11-09", ["lamp", "table"]),
    ],
)
def test_items_as_of_a_night_are_what_had_arrived_by_then(
    ask: duckdb.DuckDBPyConnection, night: str, titles: list[str]
) -> None:
    found = ask.sql(f"SELECT title FROM items_as_of(DATE '{night}') ORDER BY 1").fetchall()
    assert [title for (title,) in found] == titles
    assert ask.sql(f"SELECT title FROM items_as_of('{night}') ORDER BY 1").fetchall() == found


def test_the_latest_recommendations_are_those_of_the_last_night_that_has_any(
    ask: duckdb.DuckDBPyConnection, lake: Lake
) -> None:
    write(lake, Items, version("late", dt.date(2026, 11, 4), "late"))
    for connection in (ask, views.connect(lake)):
        rows = connection.sql("SELECT date, user_id, item_id FROM recommendations_latest ORDER BY rank").fetchall()
        assert rows == [(THIRD, "ann", "b"), (THIRD, "ann", "a"), (THIRD, "ann", "d")]


def test_a_join_of_the_latest_names_each_item_once(ask: duckdb.DuckDBPyConnection) -> None:
    """What the tables alone get wrong: an item that arrived twice would give two rows."""
    twice = "SELECT count(*) FROM items WHERE item_id = 'lamp'"
    once = "SELECT count(*) FROM latest_items WHERE item_id = 'lamp'"
    assert (ask.sql(twice).fetchall(), ask.sql(once).fetchall()) == ([(2,)], [(1,)])


def test_a_shelf_is_compared_with_the_users_own_last_one(ask: duckdb.DuckDBPyConnection) -> None:
    """Against the 1st, since ann has no shelf on the 2nd; bob's second shelf is his first one."""
    columns = "date, previous_date, user_id, item_id, change, rank, previous_rank"
    assert ask.sql(f"SELECT {columns} FROM shelf_changes ORDER BY item_id").fetchall() == [
        (THIRD, FIRST, "ann", "a", "moved", 2, 1),
        (THIRD, FIRST, "ann", "b", "moved", 1, 2),
        (THIRD, FIRST, "ann", "c", "left", None, 3),
        (THIRD, FIRST, "ann", "d", "entered", 3, None),
    ]


def test_a_night_at_a_glance(lake: Lake) -> None:
    write(lake, Ledger, *({"date": night, "step": "clean_items"} for night in (FIRST, SECOND)))
    write(lake, Items, version("a", FIRST, "a"), version("b", FIRST, "b"))
    refused = {"date": FIRST, "stage": "clean_items", "source": "f"}
    write(
        lake,
        Quarantine,
        refused | {"position": 1, "reason": "not_json", "rows": None},
        refused | {"position": 2, "reason": "not_json", "rows": 4},
        refused | {"position": 0, "reason": "unknown_format", "rows": 0},
        refused | {"stage": "contradictions", "position": 1, "reason": "modalities_contradict", "rows": None},
    )
    write(lake, Models, {"date": FIRST, "model_version": "m-1", "strategy": "stack", "promoted": True})
    figure = {"date": FIRST, "model_version": "m-1", "segment": "all", "split": "global_time", "metric": "ndcg"}
    write(
        lake,
        Metrics,
        figure | {"model": "stack", "k": 10, "value": 0.25},
        figure | {"model": "stack", "k": 20, "value": 0.5},
        figure | {"model": "popularity", "k": 20, "value": 0.125},
        figure | {"model": "stack", "k": 50, "value": 0.75, "split": "cold_items"},
        figure | {"model": "stack", "k": 50, "value": 1.0, "split": "global_time validation"},
    )
    write(lake, Recommendations, place(FIRST, "ann", 1, "a"), place(FIRST, "ann", 2, "b"), place(FIRST, "*", 1, "b"))
    relation = views.connect(lake).sql("FROM nights ORDER BY date")
    first, second = (dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall())
    assert (first["items"], first["recommendations"], first["users"], first["interactions"]) == (2, 3, 2, 0)
    assert (first["refused"], first["refused_by_reason"]) == (5, {"not_json": 5, "unknown_format": 0})
    assert (first["strategy"], first["promoted"]) == ("stack", True)
    assert (first["split"], first["k"], first["ndcg"], first["ndcg_popularity"]) == ("global_time", 20, 0.5, 0.125)
    assert first["ndcg_last_promoted"] is None
    assert (second["date"], second["items"], second["refused"]) == (SECOND, 0, 0)
    assert (second["refused_by_reason"], second["new_contents"]) == ({}, {})
    assert second["model_version"] is None and second["ndcg"] is None


def test_features_are_joined_under_the_encoder_that_extracted_last(lake: Lake) -> None:
    keys = {"text_key": "t", "image_keys": ["i", "j"], "audio_keys": [], "video_keys": []}
    write(lake, Items, version("lamp", FIRST, "lamp", **keys))
    store = TABLES["features_text"]
    for night, encoder, words in ((FIRST, "old-000000000000", 1), (SECOND, "new-000000000000", 2)):
        write(lake, Ledger, {"date": night, "step": "extract_text", "encoder": encoder})
        row = {"content_key": "t", "encoder": encoder, "date": night, "vector": [0.0, 1.0], "words": words}
        write(lake, store, row)
    picture = {"encoder": "e-000000000000", "date": FIRST, "vector": [0.0, 1.0]}
    pictures = ({"content_key": key, "brightness": bright} | picture for key, bright in (("i", 0.25), ("j", 0.75)))
    write(lake, TABLES["features_image"], *pictures)
    ask = views.connect(lake)
    wanted = "item_id, text_words, text_encoder, image_brightness, audio_tempo_bpm"
    for night, found in ((FIRST, (1, "old-000000000000")), (SECOND, (2, "new-000000000000"))):
        rows = ask.sql(f"SELECT {wanted} FROM features_joined(DATE '{night}')").fetchall()
        assert rows == [("lamp", *found, 0.25, None)]


def test_views_of_a_lake_without_tables_are_empty(lake: Lake) -> None:
    ask = views.connect(lake)
    for name in ("recommendations_latest", "latest_items", "shelf_changes", "nights", "items_as_of('2026-11-01')"):
        assert ask.sql(f"SELECT count(*) FROM {name}").fetchall() == [(0,)]


def test_the_latest_recommendations_of_a_table_that_is_read_in_part(ask: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    """As `verify` reads one with a damaged partition."""
    whole = lake.dataset(Recommendations).filter(pc.field("date") != pa.scalar(THIRD))
    connection = views.connect(lake, instead={"recommendations": whole})
    assert connection.sql("SELECT DISTINCT date FROM recommendations_latest").fetchall() == [(SECOND,)]
