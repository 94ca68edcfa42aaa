"""A plain folder as a landing zone."""

import gzip
from datetime import date
from pathlib import Path

import pytest

from jobs import cli
from jobs.landing import records
from jobs.landing.folder import parse_columns, write_landing_zone
from jobs.landing.raw import LandingZoneError, Raw
from jobs.landing.refusal import Refusal
from schemas.config import Clean, Events
from tests.jobs.demo.reading import read_rows, rows_by_night


def rows_that_a_night_accepts(raw: Path) -> tuple[list[dict], list[dict]]:
    """Items and interactions as cleaning reads them, with every URI's file; fails where anything is refused."""
    zone = Raw(str(raw))
    found: dict[str, list[dict]] = {"items": [], "interactions": []}
    for kind, rows in found.items():
        assert zone.strays(kind) == []
        for night in zone.nights(kind):
            assert zone.unread(kind, night) == []
            for path in zone.files(kind, night):
                reader, before = zone.records(path), len(rows)
                for position, record in reader:
                    assert not isinstance(record, Refusal), (path, position, record)
                    rows.append(_row(kind, record, night=date.fromisoformat(night)))
                assert reader.counted == len(rows) - before
    for row in found["items"]:
        for uri in row["image_uris"] + row["audio_uris"] + row["video_uris"]:
            assert len(zone.media(uri, max_bytes=1000)) == 64
    beside = {"media", "vectors", "config.yaml"}
    assert {path.name for path in raw.iterdir()} - beside == {"interactions", "items"}
    return found["items"], found["interactions"]


def _row(kind: str, record: dict, *, night: date) -> dict:
    if kind == "items":
        assert record.keys() <= records.ITEM_FIELDS
        return records.item(record, night=night, config=Clean())
    assert record.keys() <= records.INTERACTION_FIELDS
    return records.interaction(record, night=night, events=Events(), config=Clean())


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    (folder / "images").mkdir(parents=True)
    (folder / "audio").mkdir()
    (folder / "shots").mkdir()
    (folder / "items.csv").write_text(
        "item_id;title;price;tags;colour;image_uris;updated_at\n"
        "a;Mug, blue;12,50;['tea', 'blue'];blue;;2026-10-30T12:00:00+02:00\n"
        "b;Bowl;9.5;;;\"['shots/b2.png', 'https://example.org/b3.png', '../outside.png', 'images/b.jpg']\";\n"
        ";Nameless;1;;;;\n"
        "c;Plate;cheap;;;;\n"
        "d;Vase;3;;;;2031-01-01\n",
        "utf-8",
    )
    (folder / "interactions.csv").write_text(
        "user_id,item_id,timestamp,event,value\n"
        "ann,b,2026-10-30T10:00:00Z,rating,4.5\n"
        "bob,a,2026-10-31 23:59:59.25,VIEW,\n"
        "bob,z,2026-10-30T10:00:00Z,view,\n"
        "eve,a,yesterday,view,\n"
        "eve,d,20261101,,\n",
        "utf-8",
    )
    (tmp_path / "outside.png").write_bytes(b"outside")
    for name in ("images/a.jpg", "images/a.png", "images/b.jpg", "images/y.jpg", "audio/a.wav", "shots/b2.png"):
        (folder / name).write_bytes(name.encode())
    return folder


def test_a_night_accepts_all_that_is_written(source: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    summary = write_landing_zone(source, raw)
    items, interactions = rows_that_a_night_accepts(raw)
    assert [(row["item_id"], row["title"], row["price"], row["tags"]) for row in items] == [
        ("a", "Mug, blue", 12.5, ["tea", "blue"]),
        ("b", "Bowl", 9.5, []),
        ("d", "Vase", 3.0, []),
    ]
    assert [row["updated_at"].isoformat() for row in items] == [
        "2026-10-30T10:00:00+00:00", "2026-10-31T00:00:00+00:00", "2026-10-31T00:00:00+00:00",
    ]  # fmt: skip
    assert [(row["user_id"], row["item_id"], row["timestamp"].isoformat(), row["value"]) for row in interactions] == [
        ("ann", "b", "2026-10-30T10:00:00+00:00", 4.5),
        ("bob", "a", "2026-10-31T23:59:59.250000+00:00", None),
    ]
    assert summary.nights == (date(2026, 10, 31),)
    assert (summary.items, summary.users, summary.item_rows, summary.interaction_rows) == (3, 2, 3, 2)


def test_media_are_linked_by_name_and_by_cell(source: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    summary = write_landing_zone(source, raw)
    found = {row["item_id"]: row for row in read_rows(raw, "items")}
    assert found["a"]["image_uris"] == ["media/images/a.jpg", "media/images/a.png"]
    assert found["a"]["audio_uris"] == ["media/audio/a.wav"]
    assert [(raw / uri).read_bytes() for uri in found["b"]["image_uris"]] == [b"shots/b2.png", b"images/b.jpg"]
    assert (raw / "media/images/a.jpg").samefile(source / "images/a.jpg")
    assert summary.media == {"image": 4, "audio": 1, "video": 0}


def test_a_link_leads_no_file_from_elsewhere_into_raw(source: Path, tmp_path: Path) -> None:
    (source / "images/d.png").symlink_to(tmp_path / "outside.png")
    (source / "audio/d.wav").symlink_to(source / "audio/a.wav")
    summary = write_landing_zone(source, tmp_path / "raw")
    found = {row["item_id"]: row for row in read_rows(tmp_path / "raw", "items")}
    assert "image_uris" not in found["d"] and found["d"]["audio_uris"] == ["media/audio/d.wav"]
    assert not any(path.is_symlink() for path in (tmp_path / "raw").rglob("*"))
    assert summary.left_out["image links that lead out of their folder"] == 1


def test_what_is_left_out_is_counted_and_printed(source: Path, tmp_path: Path) -> None:
    summary = write_landing_zone(source, tmp_path / "raw")
    assert summary.left_out == {
        "values of items in the column colour": 1,
        "items: item_id_missing": 1,
        "items: price_type": 1,
        "images that are no files of the folder": 2,
        "image files of no item": 1,
        "image files missing, each of one item": 1,
        "audio files missing, each of one item": 2,
        "interactions: timestamp_type": 1,
        "interactions: unknown_event": 1,
        "events of unknown items": 1,
        "times of items after their night": 1,
    }
    assert "left out:\n  2 audio files missing, each of one item\n  1 events of unknown items\n" in str(summary)


def test_an_event_arrives_no_earlier_than_its_day_and_none_after_the_last_night(source: Path, tmp_path: Path) -> None:
    rows = ["ann,a,2026-10-30", "ann,b,2026-10-31", "bob,a,2026-10-31", "bob,b,2026-11-01", "bob,d,2026-11-02"]
    text = "user_id,item_id,timestamp,event\n" + "".join(f"{row},like\n" for row in rows)
    (source / "interactions.csv").write_text(text)
    summary = write_landing_zone(source, tmp_path / "raw", nights=2, last_night=date(2026, 11, 1))
    found = [(night, row["timestamp"][:10]) for night, row in rows_by_night(tmp_path / "raw", "interactions")]
    assert found == [
        ("2026-10-31", "2026-10-30"), ("2026-10-31", "2026-10-31"), ("2026-10-31", "2026-10-31"),
        ("2026-11-01", "2026-11-01"),
    ]  # fmt: skip
    assert summary.left_out["events after the last night"] == 1
    rows_that_a_night_accepts(tmp_path / "raw")


def test_the_command_prints_what_was_left_out(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "import",
        "folder",
        str(source),
        str(tmp_path / "raw"),
        "--nights",
        "2",
        "--columns",
        "colour=category",
    ]
    monkeypatch.setattr("sys.argv", ["nightweave", *arguments])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert not exit_.value.code
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "3 items in 3 rows, 2 users in 2 rows, nights 2026-10-30 to 2026-10-31"
    assert lines[1:3] == ["media files: 4 image, 1 audio", "left out:"]
    assert "  1 interactions: timestamp_type" in lines
    assert {row["item_id"]: row.get("category") for row in read_rows(tmp_path / "raw", "items")}["a"] == "blue"


def test_columns_of_other_names(tmp_path: Path) -> None:
    source = tmp_path / "shop"
    source.mkdir()
    with gzip.open(source / "catalog.CSV.gz", "wt") as file:
        file.write("sku,name,title\n1,Right,wrong\n")
    columns = parse_columns("sku=item_id, name = title")
    summary = write_landing_zone(source, tmp_path / "raw", columns=columns)
    (item,), _ = rows_that_a_night_accepts(tmp_path / "raw")
    assert (item["item_id"], item["title"]) == ("1", "Right")
    assert (summary.items, summary.interaction_rows, summary.nights) == (1, 0, (date(2026, 11, 7),))


@pytest.mark.parametrize(
    ("columns", "cause"),
    [
        ({"title": "titel"}, "names 'titel'; .*title"),
        ({"title": "category", "tags": "category"}, "several columns the name category"),
        ({"sku": "category"}, "names 'sku', in which no row has a value"),
        ({"title": "item_id", "item_id": "title", "nothing": "price"}, "names 'nothing'"),
    ],
)
def test_a_wrong_name_is_an_error_and_nothing_is_written(
    source: Path, tmp_path: Path, columns: dict[str, str], cause: str
) -> None:
    with pytest.raises(LandingZoneError, match=cause):
        write_landing_zone(source, tmp_path / "raw", columns=columns)
    assert not (tmp_path / "raw").exists()


@pytest.mark.parametrize("text", ["sku", "=title", "a=title,a=tags"])
def test_a_mapping_that_is_none(text: str) -> None:
    with pytest.raises(LandingZoneError, match="expected source=contract"):
        parse_columns(text)


def test_a_folder_without_items(source: Path, tmp_path: Path) -> None:
    (source / "items.csv").write_text("sku,title\n1,x\n2,y\n")
    with pytest.raises(
        LandingZoneError, match=r"holds no item \(2 values of items in the column sku, 2 items: item_id"
    ):
        write_landing_zone(source, tmp_path / "raw")
    (source / "items.csv").rename(source / "one.csv")
    (source / "two.csv").write_text("item_id\n1\n")
    with pytest.raises(LandingZoneError, match="holds 2 files of items"):
        write_landing_zone(source, tmp_path / "raw")
    with pytest.raises(LandingZoneError, match="no such folder"):
        write_landing_zone(tmp_path / "nowhere", tmp_path / "raw")
    assert not (tmp_path / "raw").exists()
