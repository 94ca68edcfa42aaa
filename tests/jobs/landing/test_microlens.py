"""MicroLens as a landing zone."""

from datetime import date
from pathlib import Path

import pytest

from jobs.landing.microlens import write_landing_zone
from jobs.landing.raw import LandingZoneError
from tests.jobs.demo.reading import read_rows
from tests.jobs.landing.test_folder import rows_that_a_night_accepts


@pytest.fixture(params=["MicroLens-50k", "MicroLens-100k", "microlens-1M"])
def prefix(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def source(tmp_path: Path, prefix: str) -> Path:
    folder = tmp_path / "microlens"
    for name, files in {"covers": ("1.jpg", "7.jpg"), "audios": ("1.mp3",), "videos": ("2.mp4", "readme.txt")}.items():
        (folder / f"{prefix}_{name}").mkdir(parents=True)
        for file in files:
            (folder / f"{prefix}_{name}" / file).write_bytes(f"{name} {file}".encode())
    (folder / f"{prefix}_title_en.csv").write_text(
        '1,Cats, dogs and a "song"\n2,"Cooking ""rice"", slowly"\n3,"never closed\n4,two\nlines\n5,\n', "utf-8-sig"
    )
    (folder / f"{prefix}_pairs.csv").write_text(
        "user,item,timestamp\n11,2,1588687728923\n10,1,1588687728000\n10,99,1588687728000\n10,7,1588687729\nbroken,1\n"
    )
    return folder


def test_a_night_accepts_all_that_is_written(source: Path, tmp_path: Path) -> None:
    summary = write_landing_zone(source, tmp_path / "raw", nights=1, last_night=date(2026, 3, 1))
    items, likes = rows_that_a_night_accepts(tmp_path / "raw")
    assert {row["item_id"]: (row["title"], row["language"] == "en") for row in items} == {
        "1": ('Cats, dogs and a "song"', True),
        "2": ('Cooking "rice", slowly', True),
        "3": ('"never closed', True),
        "4": ("two lines", True),
        "5": ("", False),
        "7": ("", False),
    }
    assert [(row["user_id"], row["item_id"], row["event"], row["timestamp"].isoformat()) for row in likes] == [
        ("10", "1", "like", "2020-05-05T14:08:48+00:00"),
        ("11", "2", "like", "2020-05-05T14:08:48.923000+00:00"),
        ("10", "7", "like", "2020-05-05T14:08:49+00:00"),
    ]
    assert (summary.items, summary.users, summary.interaction_rows) == (6, 2, 3)


def test_files_of_films(source: Path, tmp_path: Path) -> None:
    summary = write_landing_zone(source, tmp_path / "raw")
    found = {row["item_id"]: row for row in read_rows(tmp_path / "raw", "items")}
    assert (found["1"]["image_uris"], found["1"]["audio_uris"]) == (["media/covers/1.jpg"], ["media/audios/1.mp3"])
    assert found["2"]["video_uris"] == ["media/videos/2.mp4"]
    assert (tmp_path / "raw/media/videos/2.mp4").read_bytes() == b"videos 2.mp4"
    assert summary.media == {"image": 2, "audio": 1, "video": 1}


def test_what_is_left_out_is_counted(source: Path, tmp_path: Path) -> None:
    assert write_landing_zone(source, tmp_path / "raw").left_out == {
        "titles missing, each of one item": 1,
        "pairs that are not user, item, time": 1,
        "events of unknown items": 1,
        "video files of no item": 1,
        "image files missing, each of one item": 4,
        "audio files missing, each of one item": 5,
        "video files missing, each of one item": 5,
    }


def test_films_without_titles(source: Path, prefix: str, tmp_path: Path) -> None:
    (source / f"{prefix}_title_en.csv").unlink()
    summary = write_landing_zone(source, tmp_path / "raw")
    assert [row["item_id"] for row in read_rows(tmp_path / "raw", "items")] == ["1", "2", "7"]
    assert summary.interaction_rows == 3


def test_a_source_that_is_another(source: Path, prefix: str, tmp_path: Path) -> None:
    (source / "MicroLens-2M_pairs.csv").write_text("user,item,timestamp\n")
    with pytest.raises(LandingZoneError, match="of one size"):
        write_landing_zone(source, tmp_path / "raw")
    for path in source.glob("*_pairs.csv"):
        path.unlink()
    (source / f"{prefix}_pairs.tsv").write_text("10\t1 2\n")
    with pytest.raises(
        LandingZoneError, match=r"holds no MicroLens-<size>_pairs\.csv \(found: .*; pairs\.tsv will not"
    ):
        write_landing_zone(source, tmp_path / "raw")
    assert not (tmp_path / "raw").exists()


def test_titles_with_a_header_as_in_50k(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "MicroLens-50k_titles.csv").write_text('item,title\n1,"One, two"\n')
    (source / "MicroLens-50k_pairs.csv").write_text("user,item,timestamp\n5,1,1588687728923\n")
    summary = write_landing_zone(source, tmp_path / "raw")
    assert [row["title"] for row in read_rows(tmp_path / "raw", "items")] == ["One, two"]
    assert summary.left_out == {}
