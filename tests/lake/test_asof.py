"""What is known as of a night, on a hand-drawn timeline.

night       1 Nov            2 Nov                    3 Nov
item x      "one"            "two" (updated 2 Nov)    "late" (updated 1 Nov, arrives late)
item y      there                                     deleted
user u      rates x 5        dislikes x               likes y
"""

import datetime as dt
import os
import subprocess
import sys

import pyarrow as pa
import pytest

from lake import asof
from lake.lake import Lake
from schemas.config import Events
from schemas.tables import GivenVectors, Interactions, Items


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


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(("other", "weight"), [("like", 1.0), ("view", 0.0)])
def test_of_explicit_events_at_one_time_the_strongest_counts(lake: Lake, other: str, weight: float, order: int) -> None:
    """Times that are only dates make a like and a dislike equally late; none of the two was the last."""
    rows = [event("x", "dislike", 1), event("x", other, 1)][::order]
    files = [
        lake.stage(
            Interactions, pa.Table.from_pylist([row], schema=Interactions.schema).to_batches(), {"date": "2026-11-01"}
        )
        for row in rows
    ]
    lake.replace(Interactions, [file for file in files if file], {"date": "2026-11-01"})
    (row,) = asof.history(lake, day(1), weights=Events().weights, rating_threshold=4.0).to_pylist()
    assert row["weight"] == weight


def moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(f"{text}+00:00")


def versions(lake: Lake, *rows: tuple[int, str | None, str]) -> None:
    """Versions of the item x: the night that each arrived on, its `updated_at` and its title, "gone" if deleted."""
    for night in {night for night, _, _ in rows}:
        here = [
            item("x", title, night, deleted=title == "gone") | {"updated_at": at and moment(at)}
            for arrived, at, title in rows
            if arrived == night
        ]
        lake.write(Items, pa.Table.from_pylist(here, schema=Items.schema), {"date": day(night)})


def current(lake: Lake, night: int) -> list[str]:
    return asof.items(lake, day(night))["title"].to_pylist()


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (("2026-11-01T12:00", "there"), ("2026-11-02T09:00", "gone"), []),
        (("2026-11-01T12:00", "there"), ("2026-10-25T12:00", "gone"), ["there"]),
        (("2026-11-01T12:00", "there"), (None, "gone"), []),
        # A version without a time is later than all that earlier nights brought.
        (("2026-11-02T23:59:59.999999", "there"), (None, "gone"), []),
        ((None, "there"), (None, "gone"), []),
        ((None, "there"), ("2026-11-01T23:59", "gone"), ["there"]),
        ((None, "there"), ("2026-11-02T00:00", "gone"), []),
        # Equally late: the later night's.
        (("2026-11-01T12:00", "there"), ("2026-11-01T12:00", "gone"), []),
        # In lakes of versions that let them in: a time that cannot be counts as none.
        (("9999-12-31T00:00", "there"), ("2026-11-02T09:00", "gone"), []),
        (("2026-11-03T00:00", "there"), ("2026-11-02T00:00", "gone"), []),
        (("2026-11-01T12:00", "there"), ("2036-11-01T00:00", "gone"), []),
    ],
)
def test_the_current_version_of_two_nights(
    lake: Lake, first: tuple[str | None, str], second: tuple[str | None, str], expected: list[str]
) -> None:
    versions(lake, (1, *first), (2, *second))
    assert current(lake, 2) == expected


ZONES = ("Pacific/Auckland", "America/Los_Angeles", "UTC")
ASK = """
import datetime as dt, sys
from lake import asof, views
from lake.lake import Lake
lake = Lake(sys.argv[1])
print(asof.items(lake, dt.date(2026, 11, 2))["title"].to_pylist())
print(views.connect(lake).sql("SELECT max(updated_at)::VARCHAR, max(updated_at)::DATE::VARCHAR FROM items").fetchall())
"""


@pytest.mark.parametrize(("at", "current"), [("2026-11-01T23:30", "without"), ("2026-11-02T00:30", "dated")])
@pytest.mark.parametrize("zone", ZONES)
def test_no_answer_depends_on_the_zone_of_the_machine(lake: Lake, zone: str, at: str, current: str) -> None:
    """Midnight of 2 Nov is at 11 h of 1 Nov (UTC) in Auckland, and at 7 h of 2 Nov in Los Angeles."""
    versions(lake, (1, None, "without"), (2, at, "dated"))
    command = [sys.executable, "-c", ASK, lake.uri]
    answer = subprocess.run(command, env=os.environ | {"TZ": zone}, capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines() == [f"['{current}']", f"[('{at.replace('T', ' ')}:00+00', '{at[:10]}')]"]


def bring(lake: Lake, night: int, *rows: tuple[str | None, str | None, str]) -> None:
    """Vectors that arrive on a night: item, file and the key of each."""
    identity = {"date": day(night), "modality": "image", "vector": [0.0, 1.0]}
    vectors = [identity | {"item_id": item, "uri": uri, "content_key": key} for item, uri, key in rows]
    partition = {"date": day(night), "modality": "image"}
    lake.write(GivenVectors, pa.Table.from_pylist(vectors, schema=GivenVectors.schema), partition)


@pytest.fixture
def brought(lake: Lake) -> Lake:
    """Item x has two pictures, y shares one of them, z has none and is deleted on 3 Nov.

    night       1 Nov                     2 Nov                3 Nov           4 Nov
    of x                                                       p and q         r
    of b.png    k                         m and n
    of a.png    a                                                              c
    of z        z
    """
    pictures = {"x": ["a.png", "b.png"], "y": ["b.png"], "z": []}
    items = [item(name, "", 1) | {"image_uris": uris, "image_keys": uris} for name, uris in pictures.items()]
    lake.write(Items, pa.Table.from_pylist(items, schema=Items.schema), {"date": day(1)})
    gone = [item("z", "", 3, deleted=True)]
    lake.write(Items, pa.Table.from_pylist(gone, schema=Items.schema), {"date": day(3)})
    bring(lake, 4, ("x", None, "r"), (None, "a.png", "c"))
    bring(lake, 1, (None, "b.png", "k"), (None, "a.png", "a"), ("z", None, "z"), ("never arrived", None, "v"))
    bring(lake, 3, ("x", None, "q"), ("x", None, "p"))
    bring(lake, 2, (None, "b.png", "n"), (None, "b.png", "m"), (None, "of nobody.png", "o"))
    return lake


@pytest.mark.parametrize(
    ("night", "expected"),
    [
        (1, [("x", "a"), ("x", "k"), ("y", "k"), ("z", "z")]),
        (2, [("x", "a"), ("x", "m"), ("x", "n"), ("y", "m"), ("y", "n"), ("z", "z")]),
        (3, [("x", "p"), ("x", "q"), ("y", "m"), ("y", "n")]),
        (4, [("x", "r"), ("y", "m"), ("y", "n")]),
    ],
)
def test_given_vectors_as_of_a_night(brought: Lake, night: int, expected: list[tuple[str, str]]) -> None:
    rows = asof.given_vectors(brought, day(night), "image").to_pylist()
    assert [(row["item_id"], row["content_key"]) for row in rows] == expected
    assert asof.given_vectors(brought, day(night), "text").num_rows == 0
