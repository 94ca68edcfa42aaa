"""Records whose columns bear names of their own."""

import json
from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

from jobs.clean import clean_interactions, clean_items
from jobs.landing.columns import Columns
from jobs.landing.raw import Raw
from jobs.landing.records import ITEM_FIELDS
from jobs.landing.refusal import Refusal
from jobs.runtime.night import Night
from lake.lake import Lake
from lake.rows import Engine
from schemas.config import Columns as Settings
from schemas.config import Config, in_words
from schemas.tables import Interactions, Items, Ledger, Quarantine

PRODUCT = {
    "parent_asin": "B1",
    "title": "Mug",
    "images": [{"large": "media/a.png", "thumb": "t"}, {"thumb": "u"}, None, {"large": "media/b.png"}],
    "details": {"brand": {"name": "Acme"}},
    "labels": "blue| tea ||",
    "average_rating": 4.5,
}


def renamed(record: dict, **sources: object) -> dict:
    return Columns(ITEM_FIELDS, Settings.model_validate({"items": sources}).items).renamed(record)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("parent_asin", "B1"),
        ("images[].large", ["media/a.png", "media/b.png"]),
        ("details.brand.name", "Acme"),
        ({"column": "labels", "separator": "|"}, ["blue", "tea"]),
        ({"default": "mugs"}, "mugs"),
        ({"column": "title", "default": "mugs"}, "Mug"),
        ("nowhere", None),
        ("details.nowhere.name", None),
    ],
)
def test_where_a_field_is(source: object, value: object) -> None:
    assert renamed(PRODUCT, tags=source).get("tags") == value


@pytest.mark.parametrize(
    ("record", "value"),
    [
        ({"images": '[{"large": "a"}, {"large": "b"}]'}, ["a", "b"]),  # as a cell of CSV
        ({"images": [[("large", "a")], [("thumb", "b")]]}, ["a"]),  # as maps of Parquet
        ({"images[].large": "a", "images": [{"large": "b"}]}, "a"),  # a column of the whole name
        ({"images": None}, None),
        ({}, None),
    ],
)
def test_a_path_in_every_format(record: dict, value: object) -> None:
    assert renamed(record, image_uris="images[].large").get("image_uris") == value


def test_lists_in_lists_are_one_list() -> None:
    record = {"colours": [{"images": [{"url": "a"}, {"url": "b"}]}, {"images": []}, {"images": [{"url": "c"}]}]}
    assert renamed(record, image_uris="colours[].images[].url")["image_uris"] == ["a", "b", "c"]


@pytest.mark.parametrize("images", [3, [{"large": "a"}, "b"], {"large": "a"}, "[broken"])
def test_a_path_through_what_is_no_list_or_map_is_refused(images: object) -> None:
    with pytest.raises(Refusal) as refused:
        renamed({"images": images}, image_uris="images[].large")
    assert refused.value.reason == "image_uris_type" and "images[].large" in refused.value.detail


def test_a_column_that_another_has_replaced_is_unknown() -> None:
    columns = Columns(ITEM_FIELDS, Settings.model_validate({"items": {"title": "name"}}).items)
    record = {"item_id": "a", "name": "Mug", "title": "TEA-0007", "brand": "Acme"}
    assert columns.renamed(record) == {"item_id": "a", "title": "Mug"}
    assert columns.unknown(record) == ["brand", "title"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"items": {"itme_id": "asin"}}, "clean.columns.items.itme_id 'itme_id': did you mean item_id?"),
        ({"items": {"image_uris": "images[.large"}}, "clean.columns.items.image_uris.column 'images[.large'"),
        ({"items": {"title": {"separator": "|"}}}, "title has a separator '|'; only audio_uris"),
        ({"items": {"tags": {"seperator": "|"}}}, "no setting is called 'seperator'; did you mean separator?"),
        ({"itmes": {}}, "clean.columns: no setting is called 'itmes'; did you mean items?"),
    ],
)
def test_a_mapping_that_cannot_be_is_named(given: dict, expected: str) -> None:
    with pytest.raises(ValidationError) as found:
        Config.model_validate({"clean": {"columns": given}})
    assert expected in in_words(found.value)


def test_a_night_of_records_as_they_come(engine: Engine, tmp_path: Path) -> None:
    rated = {"user": "ann", "asin": "B1", "time": "2026-11-01T10:00:00Z", "rating": 5, "helpful": 3}
    for kind, rows in (("items", [PRODUCT, PRODUCT | {"parent_asin": None}]), ("interactions", [rated])):
        folder = tmp_path / "raw" / kind / "ds=2026-11-01"
        folder.mkdir(parents=True)
        (folder / "all.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    columns = {
        "items": {"item_id": "parent_asin", "tags": {"column": "labels", "separator": "|"}, "category": "details.kind"},
        "interactions": {
            "user_id": "user", "item_id": "asin", "timestamp": "time", "value": "rating",
            "event": {"default": "rating"},
        },
    }  # fmt: skip
    config = Config.model_validate({"clean": {"columns": columns, "max_refused_share": 1}})
    night = Night(date(2026, 11, 1), Raw(str(tmp_path / "raw")), Lake(str(tmp_path / "lake")), config)
    clean_items(engine, night)
    clean_interactions(engine, night)
    (item,) = night.lake.read(Items).to_pylist()
    assert (item["item_id"], item["title"], item["tags"], item["category"]) == ("B1", "Mug", ["blue", "tea"], None)
    (event,) = night.lake.read(Interactions).to_pylist()
    assert (event["user_id"], event["item_id"], event["event"], event["value"]) == ("ann", "B1", "rating", 5.0)
    (refused,) = night.lake.read(Quarantine).to_pylist()
    assert (refused["position"], refused["reason"]) == (2, "item_id_missing")
    unknown = {row["step"]: dict(row["unknown_columns"]) for row in night.lake.read(Ledger).to_pylist()}
    assert unknown["clean_items"] == {"average_rating": 2, "images": 2}
    assert unknown["clean_interactions"] == {"helpful": 1}
