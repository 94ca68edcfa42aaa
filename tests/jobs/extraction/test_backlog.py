"""What is lacking, on a timeline of three nights drawn by hand."""

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from jobs.extraction.backlog import Contents
from jobs.runtime.night import Night
from schemas.features import FeaturesText
from schemas.table import Table
from schemas.tables import Interactions, Items, Quarantine

ENCODER = "toy-0123"
FIRST, SECOND, THIRD = (date(2026, 11, day) for day in (1, 2, 3))


def row(table: type[Table], **values: Any) -> dict[str, Any]:
    """A row of a table: next to nothing in it but `values`."""
    return {field.name: nothing(field) for field in table.schema} | values


def nothing(field: pa.Field) -> Any:
    if field.nullable:
        return None
    if pa.types.is_nested(field.type):
        return []
    return "" if pa.types.is_string(field.type) else 0


def table_of(table: type[Table], rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=table.schema)


def item(night: date, name: str, text: str | None = None, **values: Any) -> dict[str, Any]:
    told = {"text": text, "text_key": text and f"key of {text}", "deleted": False}
    return row(Items, date=night, item_id=name, **told, **values)


@pytest.fixture
def timeline(tmp_path: Path) -> Night:
    """Items by night, a review, what is stored and what was refused."""
    night = Night.of(date_=SECOND.isoformat(), raw=str(tmp_path / "raw"), lake=str(tmp_path / "lake"), config=None)
    items = [
        item(FIRST, "a", "old and stored"),
        item(FIRST, "b", "old and not stored"),
        item(FIRST, "c", "refused before"),
        item(FIRST, "d", "refused, arrives again"),
        item(FIRST, "e", "of a deleted item") | {"deleted": True},
        item(SECOND, "f", "new"),
        item(SECOND, "g", "new"),
        item(SECOND, "d", "refused, arrives again"),
        item(SECOND, "h"),
        item(THIRD, "i", "tomorrow's"),
    ]
    review = row(Interactions, date=SECOND, user_id="u", item_id="a", text="a review", text_key="key of a review")
    stored = row(FeaturesText, content_key="key of old and stored", encoder=ENCODER, date=FIRST, vector=[1.0])
    for day in (FIRST, SECOND, THIRD):
        rows = [one for one in items if one["date"] == day]
        night.lake.write(Items, table_of(Items, rows), {"date": day})
    night.lake.write(Interactions, table_of(Interactions, [review]), {"date": SECOND})
    night.lake.write(FeaturesText, table_of(FeaturesText, [stored]), {"encoder": ENCODER})
    refused = [
        row(Quarantine, date=FIRST, stage="extract_text", record_id=f"key of {text}", detail=f"{ENCODER}: bad")
        for text in ("refused before", "refused, arrives again")
    ]
    partition = {"date": FIRST, "stage": "extract_text"}
    night.lake.write(Quarantine, table_of(Quarantine, refused), partition)
    return night


def lacking(contents: Contents, slices: int = 1) -> list[list[str]]:
    return [part["content"].to_pylist() for part in contents.slices(slices)]


def test_a_night_lacks_what_it_knows_and_the_store_has_not(timeline: Night) -> None:
    with Contents(timeline, "text", ENCODER) as contents:
        assert lacking(contents) == [["a review", "new", "old and not stored", "refused, arrives again"]]
        assert (contents.arriving, contents.lacking, contents.late) == (3, 4, 1)
        assert contents.arrived_and_stored() == 0


def test_another_encoder_lacks_everything(timeline: Night) -> None:
    with Contents(timeline, "text", "other-4567") as contents:
        assert contents.lacking == 6
        assert contents.late == 3


def test_what_is_stored_meanwhile_counts(timeline: Night) -> None:
    with Contents(timeline, "text", ENCODER) as contents:
        stored = timeline.lake.read(FeaturesText)
        stored = stored.set_column(0, FeaturesText.schema.field("content_key"), [["key of new"]])
        timeline.lake.write(FeaturesText, stored, {"encoder": ENCODER})
        assert contents.arrived_and_stored() == 1


@pytest.mark.parametrize(("count", "lengths"), [(1, [4]), (2, [2, 2]), (3, [2, 2]), (4, [1, 1, 1, 1]), (9, [1] * 4)])
def test_slices_hold_each_content_once_by_key(timeline: Night, count: int, lengths: list[int]) -> None:
    with Contents(timeline, "text", ENCODER) as contents:
        parts = list(contents.slices(count))
    assert [part.num_rows for part in parts] == lengths
    keys = [key for part in parts for key in part["content_key"].to_pylist()]
    assert keys == sorted(set(keys))


def test_files_of_an_item_are_contents_each(tmp_path: Path) -> None:
    night = Night.of(date_=FIRST.isoformat(), raw=str(tmp_path), lake=str(tmp_path / "lake"), config=None)
    twice = {"image_keys": ["k1", "k2"], "image_uris": ["media/b.jpg", "media/c.jpg"]}
    rows = [item(FIRST, "a", **twice), item(FIRST, "b", image_keys=["k1"], image_uris=["media/a.jpg"])]
    night.lake.write(Items, table_of(Items, rows), {"date": FIRST})
    with Contents(night, "image", ENCODER) as contents:
        assert lacking(contents) == [["media/a.jpg", "media/c.jpg"]]
