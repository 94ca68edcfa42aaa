import datetime as dt
import hashlib
from decimal import Decimal
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.given import GivenImage
from jobs.landing import records
from jobs.landing.raw import Refusal
from schemas.config import Clean, Events

NIGHT = dt.date(2026, 11, 1)
EVENT = {"user_id": "u", "item_id": "x", "timestamp": "2026-11-01T10:00:00Z", "event": "view"}


def item(**fields: object) -> dict:
    return records.item({"item_id": "x", **fields}, night=NIGHT, config=Clean())


def interaction(**fields: object) -> dict:
    return records.interaction(
        EVENT | fields, night=NIGHT, events=Events(aliases={"bought": "purchase"}), config=Clean()
    )


def test_only_the_item_id_is_required() -> None:
    row = item()
    assert row["item_id"] == "x" and row["text"] is None and row["text_key"] is None
    assert row["tags"] == [] and row["deleted"] is False and row["price"] is None


def test_texts_are_normalised() -> None:
    row = item(title="<b>Cafe\u0301</b> &amp;  more", description="a\n\tb")
    assert row["title"] == "Café & more"
    assert row["text"] == "Café & more\na b"


def test_equal_texts_have_equal_keys() -> None:
    assert (
        item(title="Tea &amp; cake")["text_key"]
        == item(title="Tea & cake")["text_key"]
        != item(title="Tea")["text_key"]
    )


@pytest.mark.parametrize(
    ("price", "number"),
    [
        (12, 12.0), ("12", 12.0), ("1,299.00", 1299.0), ("1.299,00 €", 1299.0), ("¥ 59", 59.0), ("$1,299", 1299.0),
        ("9,5", 9.5), ("1 000", 1000.0), (0, 0.0), (None, None),
    ],
)  # fmt: skip
def test_prices(price: object, number: float | None) -> None:
    assert item(price=price)["price"] == number


@pytest.mark.parametrize(
    "timestamp",
    [
        "2026-11-01T10:00:00Z",
        "2026-11-01T18:00:00+08:00",
        "2026-11-01 10:00:00",
        1793527200,
        1793527200000,
        "1793527200",
    ],
)
def test_timestamps_mean_one_moment(timestamp: object) -> None:
    assert interaction(timestamp=timestamp)["timestamp"] == dt.datetime(2026, 11, 1, 10, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("value", "values"), [("a", ["a"]), (["b", "a", "b"], ["b", "a"]), (None, []), (["", " "], [])]
)
def test_a_bare_string_is_a_list_of_one(value: object, values: list[str]) -> None:
    assert item(tags=value)["tags"] == values


def test_a_language_is_detected_where_none_is_given() -> None:
    assert item(title="海洋系列书架音箱，适合生日或婚礼送礼")["language"] == "zh"
    assert item(title="海洋", language="en-GB")["language"] == "en"


def test_events_can_be_renamed() -> None:
    assert interaction(event="Bought")["event"] == "purchase"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"item_id": None}, "item_id_missing"), ({"item_id": " "}, "item_id_missing"), ({"title": {}}, "title_type"),
        ({"price": "free"}, "price_type"), ({"price": -1}, "price_negative"), ({"tags": [1.5]}, "tags_type"),
        ({"updated_at": "soon"}, "updated_at_type"), ({"deleted": "perhaps"}, "deleted_type"),
        ({"attributes": "red"}, "attributes_type"),
    ],
)  # fmt: skip
def test_items_are_refused_with_a_reason(fields: dict, reason: str) -> None:
    with pytest.raises(Refusal) as refused:
        item(**fields)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"user_id": ""}, "user_id_missing"), ({"item_id": None}, "item_id_missing"),
        ({"user_id": "*"}, "user_id_reserved"),
        ({"event": "hover"}, "unknown_event"),
        ({"timestamp": None}, "timestamp_type"), ({"timestamp": "yesterday"}, "timestamp_type"),
        ({"timestamp": "2026-11-09T00:00:00Z"}, "timestamp_in_future"), ({"value": "five"}, "value_type"),
        ({"value": float("inf")}, "value_type"), ({"value": 10**400}, "value_type"),
    ],
)  # fmt: skip
def test_interactions_are_refused_with_a_reason(fields: dict, reason: str) -> None:
    with pytest.raises(Refusal) as refused:
        interaction(**fields)
    assert refused.value.reason == reason


@pytest.mark.parametrize("absent", [None, float("nan")])
def test_what_is_absent_is_absent_in_every_field(absent: object) -> None:
    fields = records.ITEM_FIELDS - {"item_id"}
    assert item(**dict.fromkeys(fields, absent)) == item()
    assert interaction(value=absent, text=absent) == interaction()


@pytest.mark.parametrize("text", ["", "nan", "None", "null", "\\N"])
def test_a_text_for_what_is_absent_counts_where_no_text_is_meant(text: str) -> None:
    assert item(price=text, deleted=text, updated_at=text, attributes=text) == item()
    assert interaction(value=text) == interaction()
    assert item(title=text)["title"] == text


def test_absent_elements_are_left_out() -> None:
    row = item(tags=["a", None, float("nan")], image_uris=[None, "a.png"], attributes={"a": None, "b": 1})
    assert (row["tags"], row["image_uris"], row["attributes"]) == (["a"], ["a.png"], {"b": "1"})


@pytest.mark.parametrize("deleted", [True, 1, 1.0, "true", "True", "1", "t", "yes"])
def test_flags(deleted: object) -> None:
    assert item(deleted=deleted)["deleted"] is True


@pytest.mark.parametrize(
    "identifier",
    [
        "<guest-1>",
        "a&copy=1",
        "a©=1",
        "ann🩷",
        " ann ",
        "Cafe\u0301",
        "Café",
        "ＡＢ",
        "a\u200bb",
        "nan",
        "None",
        "01",
        "1.0",
    ],
)
def test_an_identifier_is_kept_character_for_character(identifier: str) -> None:
    assert item(item_id=identifier)["item_id"] == identifier
    assert interaction(user_id=identifier)["user_id"] == identifier


@pytest.mark.parametrize("identifier", [12, 12.0, Decimal(12), Decimal("12.000"), "12", b"12"])
def test_a_whole_number_of_any_type_is_one_identifier(identifier: object) -> None:
    assert item(item_id=identifier)["item_id"] == "12"


def test_a_uuid_is_its_text() -> None:
    text = "12345678-1234-5678-1234-567812345678"
    assert item(item_id=UUID(text))["item_id"] == text


@pytest.mark.parametrize(
    ("identifier", "reason"),
    [
        ("", "missing"), ("  ", "missing"), ("\u200b", "missing"), (float("nan"), "missing"), (True, "missing"),
        (1.5, "missing"), (2.0**60, "missing"), (Decimal("1.5"), "missing"), ([1], "missing"), (b"\xff", "missing"),
        ("a\nb", "characters"), ("a\0", "characters"), ("a\ud83d", "characters"), ("a\u2028", "characters"),
    ],
)  # fmt: skip
def test_identifiers_that_are_refused(identifier: object, reason: str) -> None:
    with pytest.raises(Refusal) as refused:
        item(item_id=identifier)
    assert refused.value.reason == f"item_id_{reason}"


def test_lists_that_travel_as_text() -> None:
    row = item(tags="['a', 'b']", image_uris='["a.png"]', attributes="{'hue': 'red'}", title="[1, 2]")
    assert (row["tags"], row["image_uris"]) == (["a", "b"], ["a.png"])
    assert (row["attributes"], row["title"]) == ({"hue": "red"}, "[1, 2]")
    with pytest.raises(Refusal, match="tags_type"):
        item(tags="[a, b]")


def test_half_an_emoji_is_left_out_of_texts() -> None:
    row = item(title="frog \ud83d", tags=["x\ud83d"], image_uris=["\ud83da.png"], attributes={"\ud83da": "b\ud83d"})
    assert (row["title"], row["tags"], row["image_uris"]) == ("frog", ["x"], ["a.png"])
    assert row["attributes"] == {"a": "b"}


def test_characters_that_this_python_does_not_know_are_kept() -> None:
    assert item(title="Plush 🩷 heart 🫨 \U00031350字\ufdd0\U0001ffff")["title"] == "Plush 🩷 heart 🫨 \U00031350字"


SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30)
JSON = SCALAR | st.lists(SCALAR, max_size=3) | st.dictionaries(st.text(max_size=5), SCALAR, max_size=3)


@given(st.dictionaries(st.sampled_from(sorted(records.ITEM_FIELDS)), JSON, max_size=5))
def test_any_json_object_is_a_row_or_refused(record: dict) -> None:
    try:
        row = records.item(record, night=NIGHT, config=Clean())
    except Refusal as refusal:
        assert refusal.reason
    else:
        assert row["item_id"]
        assert records.digest(row) == records.digest(records.item(record, night=NIGHT, config=Clean()))


CLIP = GivenImage(name="clip", dim=3)
owners = st.one_of(
    st.none(), st.text(max_size=4), st.integers(), st.floats(), st.binary(max_size=3), st.lists(st.text())
)
numbers = st.lists(st.one_of(st.floats(), st.integers(-(10**40), 10**40)), min_size=2, max_size=4)


@given(st.fixed_dictionaries({}, optional={"item_id": owners, "uri": owners, "vector": st.one_of(owners, numbers)}))
def test_a_given_vector_has_one_owner_and_keeps_the_contract_or_is_refused(record: dict) -> None:
    try:
        row = records.given_vector(record, encoder=CLIP)
    except Refusal as refusal:
        assert refusal.reason.startswith(("vector_", "item_id_", "uri_")) and len(refusal.detail) < 300
        return
    assert (row["item_id"] is None) != (row["uri"] is None)
    assert row["content_key"] == hashlib.sha256(row["vector"]).hexdigest()
    vector = np.frombuffer(row["vector"], "<f4")
    assert vector.shape == (3,) and np.isfinite(vector).all() and np.ptp(vector) != 0


@pytest.mark.parametrize(
    ("record", "owner"),
    [
        ({"item_id": 12.0}, ("12", None)),
        ({"item_id": "a", "uri": None}, ("a", None)),
        ({"uri": "media/a.png", "item_id": float("nan")}, (None, "media/a.png")),
    ],
)
def test_a_vector_is_of_an_item_or_of_a_file(record: dict, owner: tuple[str | None, str | None]) -> None:
    row = records.given_vector(record | {"vector": [1, 2, 3]}, encoder=CLIP)
    assert (row["item_id"], row["uri"]) == owner


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({}, "vector_owner"),
        ({"item_id": "a", "uri": "a.png"}, "vector_owner"),
        ({"item_id": "a\n"}, "item_id_characters"),
        ({"uri": ""}, "uri_type"),
        ({"uri": ["a.png", "b.png"]}, "uri_type"),
        ({"uri": 0.5}, "uri_type"),
    ],
)
def test_a_vector_of_nothing_is_refused(record: dict, reason: str) -> None:
    with pytest.raises(Refusal) as refused:
        records.given_vector(record | {"vector": [1, 2, 3]}, encoder=CLIP)
    assert refused.value.reason == reason
