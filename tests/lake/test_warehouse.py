"""The DuckDB file shows what the lake holds, to a DuckDB that knows nothing of us."""

import datetime as dt
import os
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from lake import views, warehouse
from lake.errors import DamageError
from lake.lake import Lake
from schemas.tables import TABLES, ItemEmbeddings, Items, UserEmbeddings
from schemas.view import VIEWS
from tests.lake.test_lake import NIGHT, embeddings
from tests.test_schemas import a_row

LATER = dt.date(2026, 11, 2)


def opened(path: Path) -> duckdb.DuckDBPyConnection:
    """The file as an analyst opens it, wherever they are."""
    connection = duckdb.connect(str(path), read_only=True)
    connection.execute("SET TimeZone = 'America/New_York'")
    return connection


def test_every_table_and_view_shows_the_same_rows(old_lake: Lake, tmp_path: Path) -> None:
    """Of files that earlier versions wrote too, without the columns that came later."""
    warehouse.write(old_lake, tmp_path / "w.duckdb")
    ours, theirs = views.connect(old_lake), opened(tmp_path / "w.duckdb")
    theirs.execute("SET TimeZone = 'UTC'")  # in which times are shown
    calls = [f"{view.name}(DATE '2026-11-01')" if view.parameters else view.name for view in VIEWS.values()]
    for name in [*TABLES, *calls]:
        columns = theirs.sql(f"FROM {name}").columns  # those that came later stand last in an old log
        assert set(columns) == set(ours.sql(f"FROM {name}").columns), name
        sql = f"SELECT {', '.join(columns)} FROM {name} ORDER BY ALL"
        expected, found = ours.sql(sql), theirs.sql(sql)
        assert found.types == expected.types, name
        assert str(found.fetchall()) == str(expected.fetchall()), name
    assert ours.sql("SELECT count(*) FROM recommendations_latest").fetchall() > [(0,)]


def test_files_with_and_without_a_later_column_are_read_together(lake: Lake, tmp_path: Path) -> None:
    class Before(ItemEmbeddings):
        """An item, as an earlier version wrote it."""

        described = tuple(c for c in ItemEmbeddings.described if c.name != "predicted_rating")

    for table, night in ((Before, NIGHT), (ItemEmbeddings, LATER)):
        row = a_row(table, {"date": night, "item_id": "a", "vector": [0.5], "predicted_rating": 4.0})
        row = {name: row[name] for name in table.schema.names}
        lake.write(table, pa.Table.from_pylist([row], schema=table.schema), {"date": night})
    warehouse.write(lake, tmp_path / "w.duckdb")
    rows = opened(tmp_path / "w.duckdb").sql("SELECT date, predicted_rating FROM item_embeddings ORDER BY 1").fetchall()
    assert rows == [(NIGHT, None), (LATER, 4.0)]


def test_which_version_counts_does_not_depend_on_the_zone(lake: Lake, tmp_path: Path) -> None:
    """One without a time counts as of midnight UTC after its night, which is before 02:00 UTC, if not in New York."""
    early = dt.datetime(2026, 11, 1, 2, tzinfo=dt.UTC)
    for night, title, updated in ((NIGHT - dt.timedelta(days=1), "undated", None), (NIGHT, "dated", early)):
        row = a_row(Items, {"date": night, "item_id": "a", "title": title, "updated_at": updated})
        lake.write(Items, pa.Table.from_pylist([row], schema=Items.schema), {"date": night})
    warehouse.write(lake, tmp_path / "w.duckdb")
    assert opened(tmp_path / "w.duckdb").sql("SELECT title FROM latest_items").fetchall() == [("dated",)]


def test_the_file_describes_itself(lake: Lake, tmp_path: Path) -> None:
    warehouse.write(lake, tmp_path / "w.duckdb")
    ask = opened(tmp_path / "w.duckdb").sql
    assert ask("SELECT comment FROM duckdb_views() WHERE view_name = 'items'").fetchall() == [(Items.grain(),)]
    column = "SELECT comment FROM duckdb_columns() WHERE table_name = 'recommendations' AND column_name = 'rank'"
    assert ask(column).fetchall() == [("Place on the shelf, from 1, the best.",)]


def test_a_lake_under_an_odd_name_is_shown(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "it's [a] lake? *"))
    lake.write(UserEmbeddings, embeddings("a"), {"date": NIGHT})
    warehouse.write(lake, tmp_path / "w.duckdb")
    assert opened(tmp_path / "w.duckdb").sql("SELECT user_id FROM user_embeddings").fetchall() == [("a",)]


def test_it_is_written_anew_beside_who_has_it_open(lake: Lake, tmp_path: Path) -> None:
    warehouse.write(lake, tmp_path / "w.duckdb")
    before = opened(tmp_path / "w.duckdb")
    lake.write(UserEmbeddings, embeddings("a"), {"date": NIGHT})
    warehouse.write(lake, tmp_path / "w.duckdb")
    count = "SELECT count(*) FROM user_embeddings"
    assert before.sql(count).fetchall() == [(0,)]
    before.close()
    assert opened(tmp_path / "w.duckdb").sql(count).fetchall() == [(1,)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lake", "w.duckdb"]


def test_a_damaged_file_is_named(lake: Lake, tmp_path: Path) -> None:
    lake.write(UserEmbeddings, embeddings("a"), {"date": NIGHT})
    _, root = lake.filesystem(UserEmbeddings)
    os.truncate(f"{root}/{lake.files(UserEmbeddings)['path'][0]}", 10)
    with pytest.raises(DamageError, match=r"user_embeddings: .*part-"):
        warehouse.write(lake, tmp_path / "w.duckdb")
    assert not (tmp_path / "w.duckdb").exists()
