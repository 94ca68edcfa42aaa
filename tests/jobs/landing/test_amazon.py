"""Amazon Reviews 2023 as a landing zone."""

import gzip
import json
from datetime import date
from pathlib import Path

import pytest

from jobs.landing.amazon import write_landing_zone
from jobs.landing.raw import LandingZoneError
from tests.jobs.demo.reading import read_rows, rows_by_night
from tests.jobs.landing.test_folder import rows_that_a_night_accepts

PICTURE = {
    "thumb": "https://example.org/t.jpg",
    "large": "https://example.org/l.jpg",
    "variant": "MAIN",
    "hi_res": None,
}
PRODUCTS = [
    {
        "main_category": "Toys", "title": "Spinning Top", "average_rating": 4.1, "rating_number": 7,
        "features": ["Wooden", "Red"], "description": ["Spins.", ""], "price": 7.99, "images": [PICTURE, PICTURE],
        "videos": [], "store": "Topper", "categories": ["Toys & Games", "Tops"], "details": {"Color": "red"},
        "parent_asin": "B000000001", "bought_together": None,
    },
    {"title": "Kite \ud83e\ude81", "price": "from 12.99", "images": {"large": ["u", "v"], "hi_res": [None, "w"]},
     "description": [], "features": [], "store": None, "main_category": None, "parent_asin": "B000000002"},
    {"title": "Drum", "price": "None", "parent_asin": "B000000003"},
    {"title": "Lost", "price": 1.0, "parent_asin": None},
]  # fmt: skip
REVIEW = {"rating": 5.0, "title": "Good", "text": "It spins.\nAnd spins.", "images": [], "asin": "B00000000X",
          "parent_asin": "B000000001", "user_id": "AE1", "timestamp": 1588687728923, "helpful_vote": 0,
          "verified_purchase": True}  # fmt: skip
REVIEWS = [
    REVIEW,
    REVIEW
    | {"user_id": "AE2", "timestamp": 1588687728000, "rating": 2, "text": "", "images": [{"large_image_url": "u"}]},
    REVIEW | {"user_id": "AE3", "timestamp": None},
    REVIEW | {"user_id": "AE3", "timestamp": 10**400},
    REVIEW | {"user_id": "AE3", "timestamp": 10**20},
    REVIEW | {"user_id": "AE4", "parent_asin": "B999999999"},
    REVIEW | {"user_id": ""},
    {name: value for name, value in REVIEW.items() if name != "parent_asin"} | {"asin": "B000000002", "user_id": "AE5"},
]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "amazon"
    (folder / "images").mkdir(parents=True)
    (folder / "meta_Toys.jsonl").write_text("".join(json.dumps(row) + "\n" for row in PRODUCTS))
    with gzip.open(folder / "Toys.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in REVIEWS)
        file.write("{broken\n")
    for name in ("B000000001.png", "B000000009.jpg"):
        (folder / "images" / name).write_bytes(name.encode())
    return folder


def test_products_become_items(source: Path, tmp_path: Path) -> None:
    write_landing_zone(source, tmp_path / "raw", nights=1)
    top, kite, drum = read_rows(tmp_path / "raw", "items")
    assert top == {
        "item_id": "B000000001",
        "title": "Spinning Top",
        "description": "Wooden\nRed\nSpins.",
        "category": "Toys",
        "tags": ["Toys & Games", "Tops"],
        "price": 7.99,
        "attributes": {"store": "Topper"},
        "image_uris": ["media/images/B000000001.png"],
        "updated_at": "2026-11-07T00:00:00Z",
    }
    assert kite == {"item_id": "B000000002", "title": "Kite \U0001fa81", "updated_at": "2026-11-07T00:00:00Z"}
    assert "price" not in drum


def test_a_night_accepts_reviews_in_the_order_of_time(source: Path, tmp_path: Path) -> None:
    summary = write_landing_zone(source, tmp_path / "raw", nights=2, last_night=date(2026, 3, 1))
    _, reviews = rows_that_a_night_accepts(tmp_path / "raw")
    assert [(row["user_id"], row["item_id"], row["value"], row["text"]) for row in reviews] == [
        ("AE2", "B000000001", 2.0, "Good"),
        ("AE1", "B000000001", 5.0, "Good It spins. And spins."),
        ("AE5", "B000000002", 5.0, "Good It spins. And spins."),
    ]
    assert reviews[1]["timestamp"].isoformat() == "2020-05-05T14:08:48.923000+00:00"
    assert {row["event"] for row in reviews} == {"review"}
    assert [day.isoformat() for day in summary.nights] == ["2026-02-28", "2026-03-01"]


def test_what_is_left_out_is_counted(source: Path, tmp_path: Path) -> None:
    summary = write_landing_zone(source, tmp_path / "raw")
    assert (summary.items, summary.users, summary.interaction_rows, summary.media) == (3, 3, 3, {"image": 1})
    assert summary.left_out == {
        "products without parent_asin": 1,
        "prices that are no price": 1,
        "pictures of products that are URLs": 4,
        "pictures of reviews that are URLs": 1,
        "image files of no item": 1,
        "image files missing, each of one item": 2,
        "reviews without a time": 2,
        "events after the last night": 1,
        "reviews without user_id or asin": 1,
        "reviews that cannot be read: not_json": 1,
        "events of unknown items": 1,
    }


def test_categories_in_folders_of_their_own(source: Path, tmp_path: Path) -> None:
    for name, folder in {"meta_Toys.jsonl": "meta_categories", "Toys.jsonl.gz": "review_categories"}.items():
        (source / folder).mkdir()
        (source / name).rename(source / folder / name)
    assert write_landing_zone(source, tmp_path / "raw").interaction_rows == 3


def test_a_product_arrives_with_its_first_review(source: Path, tmp_path: Path) -> None:
    reviews = [REVIEW | {"timestamp": 1588687728923 + n, "parent_asin": f"B00000000{1 + n // 99}"} for n in range(100)]
    (source / "Toys.jsonl.gz").unlink()
    (source / "Toys.jsonl").write_text("".join(json.dumps(row) + "\n" for row in reviews))
    write_landing_zone(source, tmp_path / "raw", nights=2)
    nights = {row["item_id"]: night for night, row in rows_by_night(tmp_path / "raw", "items")}
    assert nights == {"B000000001": "2026-11-06", "B000000002": "2026-11-07", "B000000003": "2026-11-06"}


def test_a_source_that_is_not_whole(source: Path, tmp_path: Path) -> None:
    whole = (source / "Toys.jsonl.gz").read_bytes()
    (source / "Toys.jsonl.gz").write_bytes(whole[:-20])
    with pytest.raises(LandingZoneError, match=r"Toys\.jsonl\.gz: .*download it anew"):
        write_landing_zone(source, tmp_path / "raw")
    (source / "Toys.jsonl.gz").unlink()
    with pytest.raises(LandingZoneError, match=r"1 files of products and 0 of reviews \(found: images, meta_Toys"):
        write_landing_zone(source, tmp_path / "raw")
    assert not (tmp_path / "raw").exists()
