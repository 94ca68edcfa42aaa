"""What is known as of a night, on a hand-drawn timeline.

night       1 Nov            2 Nov                    3 Nov
item x      "one"            "two" (updated 2 Nov)    "late" (updated 1 Nov, arrives late)
item y      there                                     deleted
user u      rates x 5        dislikes x               likes y
"""

import datetime as dt

import pyarrow as pa
import pytest

from lake import asof
from lake.lake import Lake
from schemas.config import Events
from schemas.tables import Interactions, Items


def day(n: int) -> dt.date:
    return dt.date(2026, 11, n)


def item(item_id: str, title: str, night: int, *, updated: int | None = None, deleted: bool = False) -> dict:
    updated_at = dt.datetime(2026, 11, updated, 12, tzinfo=dt.UTC) if updated else None
    media = [f"{medium}_{what}" for medium in ("image", "audio", "video") for what in ("uris", "keys")]
    lists: dict = {name: [] for name in ("tags", *media)}
    return {
        "date": day(night), "item_id": item_id, "title": title, "description": "", "language": "en",
        "attributes": [], "updated_at": updated_at, "deleted": deleted, **lists,
    }  # fmt: skip


def event(item_id: str, name: str, night: int, value: float | None = None) -> dict:
    at = dt.datetime(2026, 11, night, 9, tzinfo=dt.UTC)
    return {"date": day(night), "user_id": "u", "item_id": item_id, "timestamp": at, "event": name, "value": value}


@pytest.fixture
def timeline(lake: Lake) -> Lake:
    items = {
        1: [item("x", "one", 1, updated=1), item("y", "there", 1)],
        2: [item("x", "two", 2, updated=2)],
        3: [item("x", "late", 3, updated=1), item("y", "there", 3, deleted=True)],
    }
    events = {1: [event("x", "rating", 1, 5.0)], 2: [event("x", "dislike", 2)], 3: [event("y", "like", 3)]}
    for night in (3, 1, 2):
        rows = pa.Table.from_pylist(items[night], schema=Items.schema)
        lake.write(Items, rows, {"date": day(night)})
        rows = pa.Table.from_pylist(events[night], schema=Interactions.schema)
        lake.write(Interactions, rows, {"date": day(night)})
    return lake


@pytest.mark.parametrize(
    ("night", "expected"),
    [(1, {"x": "one", "y": "there"}), (2, {"x": "two", "y": "there"}), (3, {"x": "two"})],
)
def test_items_as_of_a_night(timeline: Lake, night: int, expected: dict[str, str]) -> None:
    rows = asof.items(timeline, day(night)).to_pylist()
    assert {row["item_id"]: row["title"] for row in rows} == expected


@pytest.mark.parametrize(("night", "expected"), [(1, {"x": 1.0}), (2, {"x": 0.0}), (3, {"x": 0.0, "y": 1.0})])
def test_weights_as_of_a_night(timeline: Lake, night: int, expected: dict[str, float]) -> None:
    events = Events()
    rows = asof.history(timeline, day(night), weights=events.weights, rating_threshold=4.0).to_pylist()
    assert {row["item_id"]: row["weight"] for row in rows} == expected


@pytest.mark.parametrize(("night", "expected"), [(1, {"x": 5.0}), (2, {"x": 5.0}), (3, {"x": 5.0, "y": None})])
def test_what_is_not_a_rating_leaves_the_rating_as_it_was(
    timeline: Lake, night: int, expected: dict[str, float | None]
) -> None:
    rows = asof.history(timeline, day(night), weights=Events().weights, rating_threshold=4.0).to_pylist()
    assert {row["item_id"]: row["rating"] for row in rows} == expected


@pytest.mark.parametrize(("night", "expected"), [(1, 5.0), (2, 3.0), (3, 3.0), (4, 2.0)])
def test_the_latest_rating_or_review_with_a_value_counts(lake: Lake, night: int, expected: float) -> None:
    """5 on 1 Nov, a review with 3 on 2 Nov, one without a value on 3 Nov; on 4 Nov 2, and a 1 that arrives late."""
    late = event("x", "rating", 1, 1.0) | {"date": day(4)}
    events = {
        1: [event("x", "rating", 1, 5.0)],
        2: [event("x", "review", 2, 3.0)],
        3: [event("x", "review", 3)],
        4: [late, event("x", "rating", 4, 2.0)],
    }
    for number, rows in events.items():
        lake.write(Interactions, pa.Table.from_pylist(rows, schema=Interactions.schema), {"date": day(number)})
    (row,) = asof.history(lake, day(night), weights=Events().weights, rating_threshold=4.0).to_pylist()
    assert row["rating"] == expected
