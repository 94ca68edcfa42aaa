"""A lake that an earlier version wrote is read and written on: columns that came later are null in its rows."""

import datetime as dt
from collections.abc import Iterator
from operator import itemgetter

import duckdb
import pyarrow as pa
import pytest

from lake import rewrite
from lake.errors import LakeError
from lake.lake import Lake
from lake.rows import Engine
from schemas.table import Table
from tests.lake.test_lake import NIGHT, Contents, texts

LATER = dt.date(2026, 11, 2)


def figure(night: dt.date, *, low: float | None = None) -> dict:
    return {"date": night, "metric": "ndcg", "value": 0.5, "low": low, "bounds": None if low is None else [low, 1.0]}


class Figures(Table):
    """One figure, as the present version writes it."""

    name = "figures"
    schema = pa.schema(
        [
            pa.field("date", pa.date32(), nullable=False),
            pa.field("metric", pa.string(), nullable=False),
            pa.field("value", pa.float64(), nullable=False),
            pa.field("low", pa.float64()),
            pa.field("bounds", pa.list_(pa.float32())),
        ]
    )
    key = ("date", "metric")


class FiguresBefore(Figures):
    """One figure, as an earlier version wrote it."""

    schema = pa.schema([Figures.schema.field(name) for name in ("date", "metric", "value")])


class Marked(Contents):
    """One content, of a store that got a column."""

    schema = Contents.schema.append(pa.field("mark", pa.string()))


@pytest.fixture
def old(lake: Lake) -> Iterator[Lake]:
    rows = pa.Table.from_pylist([figure(NIGHT)], schema=FiguresBefore.schema)
    lake.write(FiguresBefore, rows, {"date": NIGHT})
    yield lake


def test_an_old_lake_is_read_with_the_new_columns_null(old: Lake, either: Engine) -> None:
    assert old.read(Figures).to_pylist() == [figure(NIGHT)]
    assert old.read(Figures, columns=["low"]).to_pylist() == [{"low": None}]
    assert either.read(old, Figures).collect() == [figure(NIGHT)]


def test_an_old_lake_is_written_on(old: Lake, either: Engine) -> None:
    old.write(Figures, pa.Table.from_pylist([figure(LATER, low=0.25)], schema=Figures.schema), {"date": LATER})
    both = [figure(NIGHT), figure(LATER, low=0.25)]
    assert old.read(Figures).sort_by("date").to_pylist() == both
    assert sorted(either.read(old, Figures).collect(), key=itemgetter("date")) == both
    delta = old.delta(Figures)
    assert delta and [field.name for field in delta.schema().fields] == Figures.schema.names


def test_a_feature_store_gets_the_column_with_its_next_contents(lake: Lake) -> None:
    for table, key in ((Contents, "old"), (Marked, "new")):
        rows = texts(key) if table is Contents else texts(key).append_column("mark", pa.array(["m"]))
        file = lake.stage(table, rows.to_batches(), {"encoder": "e"})
        assert file and lake.append_new(table, [file], {"encoder": "e"}) == 1
    rows = lake.read(Marked, columns=["content_key", "mark"]).sort_by("content_key").to_pylist()
    assert rows == [{"content_key": "new", "mark": "m"}, {"content_key": "old", "mark": None}]


def test_files_from_before_and_after_are_merged(lake: Lake) -> None:
    for table, key in ((Contents, "old"), (Marked, "new")):
        rows = texts(key) if table is Contents else texts(key).append_column("mark", pa.array(["m"]))
        file = lake.stage(table, rows.to_batches(), {"encoder": "e"})
        assert file and lake.append_new(table, [file], {"encoder": "e"}) == 1
    (merged,) = rewrite.compact(lake, Marked, target_bytes=1 << 20)
    assert merged.rows == 2
    rows = lake.read(Marked, columns=["content_key", "mark"]).to_pylist()
    assert rows == [{"content_key": "new", "mark": "m"}, {"content_key": "old", "mark": None}]


class Known(Contents):
    """One content, all of which is known."""

    schema = Contents.schema.append(pa.field("language", pa.string(), nullable=False))


class Unknown(Contents):
    """One content, of which the language may be unknown."""

    schema = Contents.schema.append(pa.field("language", pa.string()))


@pytest.fixture
def relaxed(lake: Lake) -> Lake:
    """A store to which a version that allows null adds one, after a version that did not."""
    for table, key, language in ((Known, "old", "en"), (Unknown, "new", None)):
        rows = texts(key).append_column("language", pa.array([language], pa.string()))
        file = lake.stage(table, rows.to_batches(), {"encoder": "e"})
        assert file and lake.append_new(table, [file], {"encoder": "e"}) == 1
    return lake


def test_a_column_that_becomes_nullable_is_so_for_every_reader(relaxed: Lake, either: Engine) -> None:
    expected = [("new", None), ("old", "en")]
    delta = relaxed.delta(Unknown)
    assert delta and {field.name: field.nullable for field in delta.schema().fields}["language"]
    rows = relaxed.read(Unknown, columns=["content_key", "language"]).sort_by("content_key")
    assert [tuple(row.values()) for row in rows.to_pylist()] == expected
    read = either.read(relaxed, Unknown, columns=["content_key", "language"])
    assert sorted(tuple(row.values()) for row in read.collect()) == expected
    assert len(read.select("SELECT * FROM {rows} WHERE language IS NULL").collect()) == 1
    connection = duckdb.connect()
    connection.register("contents", relaxed.dataset(Unknown))
    assert connection.sql("SELECT content_key FROM contents WHERE language IS NULL").fetchall() == [("new",)]


def test_files_from_before_and_after_a_column_became_nullable_are_merged(relaxed: Lake) -> None:
    (merged,) = rewrite.compact(relaxed, Unknown, target_bytes=1 << 20)
    assert merged.rows == 2
    rows = relaxed.read(Unknown, columns=["content_key", "language"]).to_pylist()
    assert rows == [{"content_key": "new", "language": None}, {"content_key": "old", "language": "en"}]


def test_a_column_that_may_not_be_null_cannot_come_later(old: Lake) -> None:
    class Binding(Figures):
        """One figure whose version demands a unit."""

        schema = Figures.schema.append(pa.field("unit", pa.string(), nullable=False))

    with pytest.raises(LakeError, match=r"written without unit; .* must be nullable"):
        old.read(Binding)
