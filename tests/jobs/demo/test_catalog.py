"""The landing zone made from a seed: the same bytes again, the layout, and every planted fault to be found."""

import time
import tracemalloc
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from jobs.demo import write_catalog
from jobs.demo.plan import MISSING_SHARES, plan_catalog
from jobs.landing.raw import LandingZoneError
from jobs.landing.writing import Summary
from tests.jobs.demo.reading import day, fingerprints, good_events, read_rows, rows_by_night, seconds

SMALL = {"items": 60, "users": 40, "nights": 3, "progress": False}
LISTS = ("tags", "image_uris", "audio_uris", "video_uris")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    """Texts and rows of a middling catalog, without media."""
    raw = tmp_path_factory.mktemp("rows") / "raw"
    return raw, write_catalog(raw, items=400, users=80, media=False, progress=False)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    media = {"items": 20, "users": 5, "nights": 2, "progress": False}
    once, again, other = (tmp_path / name / "raw" for name in ("once", "again", "other"))
    assert write_catalog(once, seed=3, **media) == write_catalog(again, seed=3, **media)
    write_catalog(other, seed=4, **media)
    prints = fingerprints(once)
    assert fingerprints(again) == prints
    assert {path.split("/")[0] for path in prints} == {"items", "interactions", "media"}
    assert {path.rpartition(".")[2] for path in prints} >= {"jsonl", "csv", "parquet", "jpg", "wav", "mp4", "mkv"}
    assert not set(fingerprints(other).values()) & set(prints.values())
    assert sorted(entry.name for entry in (tmp_path / "once").iterdir()) == ["raw"], "something lies outside RAW"


def test_rows_are_the_same_bytes_without_media_too(tmp_path: Path) -> None:
    for name in ("once", "again"):
        write_catalog(tmp_path / name, media=False, **SMALL)
    assert fingerprints(tmp_path / "once") == fingerprints(tmp_path / "again")


def test_layout(written: tuple[Path, Summary]) -> None:
    raw, summary = written
    assert summary.nights == (date(2026, 11, 1), date(2026, 11, 2), date(2026, 11, 3))
    for kind in ("items", "interactions"):
        assert sorted(folder.name for folder in (raw / kind).iterdir()) == [f"ds={d}" for d in summary.nights]
    formats = {p.relative_to(raw / "items").as_posix() for p in (raw / "items").rglob("*.*")}
    assert {"ds=2026-11-01/part-parquet.parquet", "ds=2026-11-03/part-csv.csv"} < formats
    assert not (raw / "media").exists()


def test_no_row_is_unaccounted_for(written: tuple[Path, Summary]) -> None:
    raw, summary = written
    assert len(read_rows(raw, "items")) == summary.item_rows
    assert len(read_rows(raw, "interactions")) == summary.interaction_rows
    ids = {row["item_id"] for row in read_rows(raw, "items") if row and "item_id" in row}
    assert len(ids) == summary.items == 400


def test_planted_item_faults_are_in_the_files(written: tuple[Path, Summary]) -> None:
    raw, summary = written
    found = Counter[str]()
    for row in read_rows(raw, "items"):
        if row is None:
            found["item_broken_json"] += 1
        elif "item_id" not in row:
            found["item_missing_id"] += 1
        elif isinstance(row.get("title"), dict):
            found["item_wrong_type"] += 1
        elif "../" in str(row.get("image_uris")):
            found["item_path_escape"] += 1
        else:
            found["string_price"] += isinstance(row.get("price"), str) and not row["price"].replace(".", "").isdigit()
            found["deleted_item"] += row.get("deleted") in (True, "true")
            found["bare_string"] += any(isinstance(row.get(k), str) and row[k][:1] != "[" for k in LISTS)
            found["html_text"] += any(mark in str(row.get("description")) for mark in ("<p>", "&ldquo;", "<br/>"))
            found["item_column"] += "warehouse_shelf" in row
    planted = summary.planted
    for name in ("item_broken_json", "item_missing_id", "item_wrong_type", "item_path_escape"):
        assert found[name] == planted[name] > 0, name
    for name in ("deleted_item", "bare_string", "html_text"):
        assert found[name] == planted[name] > 0, name
    assert 0 < found["string_price"] <= planted["string_price"], "in CSV a plain number is a string as well"
    events = sum("session" in row for row in read_rows(raw, "interactions") if row)
    assert found["item_column"] + events == planted["unknown_column"]


def test_duplicates_changes_and_new_items_are_in_the_files(written: tuple[Path, Summary]) -> None:
    raw, summary = written
    malformed = ("item_wrong_type", "item_path_escape")
    rows = [row for row in read_rows(raw, "items") if row and "item_id" in row and row.get("deleted") is not True]
    versions = Counter(row["item_id"] for row in rows)
    again = summary.planted["duplicate_item"] + summary.planted["changed_item"]
    assert sum(versions.values()) - len(versions) == again + sum(summary.planted[name] for name in malformed)
    touched = {row["item_id"] for row in good_events(raw)}
    assert len(set(versions) - touched) >= summary.planted["cold_item"] > 0
    last = {row["item_id"] for night, row in rows_by_night(raw, "items") if row and night == "2026-11-03"}
    assert last - touched, "a new_items shelf needs items nobody has touched"


def test_planted_interaction_faults_are_in_the_files(written: tuple[Path, Summary]) -> None:
    raw, summary = written
    rows = read_rows(raw, "interactions")
    found = Counter(
        {
            "interaction_broken_json": sum(row is None for row in rows),
            "interaction_missing_item_id": sum("item_id" not in row for row in rows if row),
            "interaction_unknown_event": sum(row["event"] == "hover" for row in rows if row),
            "interaction_bad_timestamp": sum(row["timestamp"] == "yesterday evening" for row in rows if row),
        }
    )
    assert {name: summary.planted[name] for name in found} == dict(found)
    assert all(found.values())
    events = good_events(raw)
    assert len(rows) - found.total() - len(events) == summary.planted["duplicate_interaction"] > 0
    assert found.total() < 0.02 * len(rows)


def test_late_events_arrive_after_their_day_and_none_before(written: tuple[Path, Summary]) -> None:
    raw, summary = written
    events = good_events(raw)
    assert all(day(event["seconds"]) <= event["ds"] for event in events)
    late = [event for event in events if day(event["seconds"]) < event["ds"] > "2026-11-01"]
    twins = summary.planted["late_interaction"] - len(late)
    assert len(late) > 0 and 0 <= twins <= summary.planted["duplicate_interaction"]
    assert len({day(event["seconds"]) for event in events}) > 50, "history is to spread over the two months before"


def test_nobody_meets_an_item_before_it_arrives(written: tuple[Path, Summary]) -> None:
    raw, _ = written
    arrival: dict[str, str] = {}
    for night, row in rows_by_night(raw, "items"):
        if row and "item_id" in row:
            arrival.setdefault(row["item_id"], night)
    for event in good_events(raw):
        first = arrival[event["item_id"]]
        assert first == "2026-11-01" or day(event["seconds"]) >= first


def test_timestamps_come_in_every_notation(written: tuple[Path, Summary]) -> None:
    raw, _ = written
    stamps = [
        row["timestamp"] for row in read_rows(raw, "interactions") if row and row["timestamp"] != "yesterday evening"
    ]
    assert {type(stamp) for stamp in stamps} == {int, str}
    assert {str(stamp)[-6:] for stamp in stamps if "+" in str(stamp)} == {"+08:00"}
    assert any(str(stamp).endswith("Z") for stamp in stamps)
    assert {len(str(stamp)) for stamp in stamps if str(stamp).isdecimal()} == {10, 13}
    assert all(1_780_000_000 < seconds(stamp) < 1_800_000_000 for stamp in stamps)


def test_texts_come_in_two_languages(written: tuple[Path, Summary]) -> None:
    titles = [str(row.get("title")) for row in read_rows(written[0], "items") if row and row.get("title")]
    chinese = sum(any("\u4e00" <= letter <= "\u9fff" for letter in title) for title in titles)
    assert 0.35 < chinese / len(titles) < 0.65


def test_each_modality_is_missing_from_some_items(tmp_path: Path) -> None:
    summary = write_catalog(tmp_path / "raw", media=False, **SMALL)
    assert summary.planted["missing_image"] == summary.items
    plan = plan_catalog(2000, 3, 1)
    for modality, share in MISSING_SHARES.items():
        assert 1 - plan.has[modality].mean() == pytest.approx(share, abs=0.03)
    assert sum(plan.has.values()).min() == 1, "every item has something"


@pytest.mark.parametrize("nights", [1, 2, 9])
def test_any_number_of_nights(tmp_path: Path, nights: int) -> None:
    summary = write_catalog(tmp_path / "raw", media=False, **SMALL | {"nights": nights})
    assert len(list((tmp_path / "raw/items").iterdir())) == len(summary.nights) == nights
    ids = {row["item_id"] for row in read_rows(tmp_path / "raw", "items") if row and "item_id" in row}
    assert len(ids) == summary.items


def test_five_thousand_items_in_little_time_and_memory(tmp_path: Path) -> None:
    tracemalloc.start()
    began = time.perf_counter()
    summary = write_catalog(tmp_path / "raw", items=5000, users=40, media=False, progress=False)
    took, (_, peak) = time.perf_counter() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert summary.items == 5000 and summary.item_rows > 5000
    assert took < 30 and peak < 64 * 2**20, (took, peak)


def test_a_folder_that_holds_something_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    write_catalog(tmp_path / "raw", media=False, **SMALL)
    with pytest.raises(LandingZoneError, match=r"already holds interactions, items; .*new or empty"):
        write_catalog(tmp_path / "raw", media=False, **SMALL)
    (tmp_path / "file").write_text("x")
    with pytest.raises(LandingZoneError, match="is a file"):
        write_catalog(tmp_path / "file", media=False, **SMALL)


@pytest.mark.parametrize("wrong", [{"items": 3}, {"users": 0}, {"nights": 0}, {"seed": -1}])
def test_numbers_out_of_range_are_refused_before_anything_is_written(tmp_path: Path, wrong: dict[str, int]) -> None:
    with pytest.raises(LandingZoneError, match=next(iter(wrong))):
        write_catalog(tmp_path / "raw", media=False, **SMALL | wrong)
    assert not (tmp_path / "raw").exists()
