"""What a night was made from is found again, whatever becomes of the files since.

The night of 3 Nov is made from those of 1, 2 and 3 Nov; then that of 1 Nov is landed again.
"""

import datetime as dt

import pyarrow as pa
import pytest

from lake import provenance, rewrite
from lake.lake import Lake
from schemas.table import Table
from schemas.tables import Interactions, ItemEmbeddings, Items, Ledger, Recommendations
from tests.test_schemas import ON_SHELF, a_row

FIRST, SECOND, THIRD = (dt.date(2026, 11, n) for n in (1, 2, 3))


def put(lake: Lake, table: type[Table], night: dt.date, *rows: dict, made_from: dict[str, int] | None = None) -> None:
    given = [a_row(table, row | {"date": night}) for row in rows]
    where = {column: str(given[0][column]) if given else str(night) for column in table.partition_by}
    lake.write(table, pa.Table.from_pylist(given, schema=table.schema), where, made_from=made_from)


def shelves(lake: Lake, night: dt.date) -> None:
    """What `evaluate` and `recommend` write of a night."""
    put(lake, ItemEmbeddings, night, {"item_id": "a"}, made_from=provenance.now(lake))
    read = lake.made_from(ItemEmbeddings, {"date": str(night)})
    put(lake, Recommendations, night, ON_SHELF, made_from=read)


def clean(lake: Lake, night: dt.date, *, events: int = 1) -> None:
    put(lake, Items, night, {"item_id": "a"})
    put(lake, Interactions, night, *({"user_id": f"u{n}", "item_id": "a"} for n in range(events)))
    put(lake, Ledger, night, {"step": "clean_items"})


@pytest.fixture
def three(lake: Lake) -> Lake:
    for night in (FIRST, SECOND, THIRD):
        clean(lake, night)
        shelves(lake, night)
    return lake


def since(lake: Lake) -> list[tuple]:
    return sorted(tuple(row.values()) for row in provenance.replaced_since(lake).to_pylist())


def test_nothing_was_replaced(three: Lake) -> None:
    assert since(three) == []
    assert three.made_from(Recommendations, {"date": str(THIRD)}) == {"items": 3, "interactions": 3}


def test_an_earlier_night_was_landed_again(three: Lake) -> None:
    clean(three, FIRST, events=2)
    expected = [(night, source, FIRST) for night in (SECOND, THIRD) for source in ("interactions", "items")]
    assert since(three) == expected
    shelves(three, SECOND)
    assert since(three) == [row for row in expected if row[0] == THIRD]
    shelves(three, THIRD)
    assert since(three) == []


def test_only_the_table_that_was_replaced_counts(three: Lake) -> None:
    put(three, Interactions, SECOND, {"user_id": "v"})
    assert since(three) == [(THIRD, "interactions", SECOND)]


def test_a_night_that_was_landed_again_empty_was_replaced(three: Lake) -> None:
    put(three, Items, FIRST)
    assert since(three) == [(SECOND, "items", FIRST), (THIRD, "items", FIRST)]


def test_shelves_keep_what_their_vectors_were_made_from(three: Lake) -> None:
    """An evaluation that ran again has not changed the shelves yet."""
    clean(three, FIRST, events=2)
    put(three, ItemEmbeddings, THIRD, {"item_id": "a"}, made_from=provenance.now(three))
    assert (THIRD, "interactions", FIRST) in since(three)


def test_merged_files_and_checkpoints_change_nothing(three: Lake) -> None:
    files = [three.stage(Interactions, interactions(user).to_batches(), {"date": str(FIRST)}) for user in "ab"]
    three.replace(Interactions, [file for file in files if file], {"date": str(FIRST)})
    before = since(three)
    assert before == [(SECOND, "interactions", FIRST), (THIRD, "interactions", FIRST)]
    shelves(three, THIRD)
    assert rewrite.compact(three, Interactions, target_bytes=1 << 20)
    for table in (Interactions, Recommendations):
        three.current(table).create_checkpoint()
    assert since(three) == [(SECOND, "interactions", FIRST)]


def interactions(user: str) -> pa.Table:
    return pa.Table.from_pylist([a_row(Interactions, {"date": FIRST, "user_id": user})], schema=Interactions.schema)


def test_nights_of_versions_that_recorded_nothing_were_made_from_what_such_versions_wrote(three: Lake) -> None:
    """Their commits bear no marks; what is landed since does."""
    old = Lake(f"{three.uri}-old")
    for table in (Items, Interactions, Recommendations, Ledger):
        for night in (FIRST, SECOND):
            unmarked(old, table, night)
    assert since(old) == []
    clean(old, FIRST, events=2)
    assert since(old) == [(SECOND, "interactions", FIRST), (SECOND, "items", FIRST)]


def unmarked(lake: Lake, table: type[Table], night: dt.date) -> None:
    where = {"date": str(night)} | ({"step": "x"} if table is Ledger else {})
    file = lake.stage(table, pa.Table.from_pylist([a_row(table, {"date": night})], table.schema).to_batches(), where)
    assert file
    lake.swap(table, lake.current(table), gone=[], files=[file], partition=where, data_change=True)


def test_tables_that_cannot_be_read_are_left_out(three: Lake) -> None:
    clean(three, FIRST, events=2)
    assert provenance.replaced_since(three, without={"ledger"}).num_rows == 0
    assert set(provenance.replaced_since(three, without={"items"})["source"].to_pylist()) == {"interactions"}
