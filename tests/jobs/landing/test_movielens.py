"""MovieLens as a landing zone: a tiny source made here, and the published one where it is at hand."""

import json
import os
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.landing import importing
from jobs.landing.movielens import natural_title, write_landing_zone
from jobs.landing.raw import LandingZoneError
from tests.jobs.demo.reading import fingerprints, read_rows, seconds
from tests.jobs.landing.test_folder import rows_that_a_night_accepts

ROOT = Path(__file__).resolve().parents[3]
PUBLISHED = Path(os.environ.get("NIGHTWEAVE_TEST_DATA", ROOT.parent / "shared" / "data")) / "movielens-small"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "ml"
    (folder / "posters").mkdir(parents=True)
    files = {
        "movies.csv": 'movieId,title,genres\n1,Toy Box (1995),Animation|Comedy\n2,"Long Road, The (1999)",Drama\n'
        '3,Nobody Rated This,(no genres listed)\n9,"Être, L\' (Being, The) (2001)",Drama|War\n',
        "ratings.csv": "userId,movieId,rating,timestamp\n7,1,4.5,1000000100\n7,2,3.0,1000000300\n8,1,5.0,1000000000\n"
        "8,9,2.5,1000000400\n",
        "links.csv": "movieId,imdbId,tmdbId\n1,0000123,5\n2,0000456,\n",
        "tags.csv": "userId,movieId,tag,timestamp\n7,1,Funny,1\n8,1,funny,2\n8,1,toys,3\n",
        "imdb5000_movie_metadata.csv": "plot_keywords,movie_imdb_link\ntoy|box,http://www.imdb.com/title/tt0000123/?x\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")
    for name in ("1.jpg", "77.jpg"):
        (folder / "posters" / name).write_bytes(b"picture " + name.encode())
    return folder


def items(raw: Path) -> dict[str, dict]:
    return {row["item_id"]: row for row in read_rows(raw, "items")}


def test_movies_become_items(source: Path, tmp_path: Path) -> None:
    summary = write_landing_zone(source, tmp_path / "raw")
    assert (summary.items, summary.users, summary.interaction_rows, summary.media) == (4, 2, 4, {"image": 1})
    assert items(tmp_path / "raw")["1"] == {
        "item_id": "1",
        "title": "Toy Box (1995)",
        "description": "toy, box",
        "category": "Animation",
        "tags": ["Animation", "Comedy"],
        "language": "en",
        "attributes": {"year": "1995", "imdb_id": "tt0000123"},
        "image_uris": ["media/posters/1.jpg"],
        "updated_at": "2026-11-05T00:00:00Z",
    }
    assert set(items(tmp_path / "raw")["3"]) == {"item_id", "title", "language", "updated_at"}


def test_ratings_become_events_at_their_time(source: Path, tmp_path: Path) -> None:
    write_landing_zone(source, tmp_path / "raw", nights=1)
    events = read_rows(tmp_path / "raw", "interactions")
    assert [(e["user_id"], e["item_id"], e["event"], e["value"], seconds(e["timestamp"])) for e in events] == [
        ("8", "1", "rating", 5.0, 1000000000),
        ("7", "1", "rating", 4.5, 1000000100),
        ("7", "2", "rating", 3.0, 1000000300),
        ("8", "9", "rating", 2.5, 1000000400),
    ]


def test_a_movie_arrives_no_later_than_its_first_rating(tmp_path: Path) -> None:
    folder = tmp_path / "ml"
    folder.mkdir()
    (folder / "movies.csv").write_text("movieId,title,genres\n" + "".join(f"{i},M{i},Drama\n" for i in range(101)))
    rows = "".join(f"1,{i},4,{1000000000 + i}\n" for i in range(100))
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + rows)
    summary = write_landing_zone(folder, tmp_path / "raw", nights=3, last_night=date(2026, 3, 1))
    assert [day.isoformat() for day in summary.nights] == ["2026-02-27", "2026-02-28", "2026-03-01"]
    for kind, counts in {"items": [97, 2, 2], "interactions": [96, 2, 2]}.items():
        folders = sorted((tmp_path / "raw" / kind).iterdir())
        assert [len((path / "part-00000.jsonl").read_text().splitlines()) for path in folders] == counts
    last = tmp_path / "raw/items/ds=2026-03-01/part-00000.jsonl"
    assert [json.loads(line)["item_id"] for line in last.read_text().splitlines()] == ["98", "99"]


def test_users_tags_only_on_demand(source: Path, tmp_path: Path) -> None:
    write_landing_zone(source, tmp_path / "raw", tags=True)
    assert items(tmp_path / "raw")["1"]["tags"] == ["Animation", "Comedy", "funny", "toys"]


@pytest.mark.parametrize("how", ["link", "copy"])
def test_posters_are_files_of_raw(source: Path, tmp_path: Path, how: str) -> None:
    write_landing_zone(source, tmp_path / "raw", posters=how)
    poster = tmp_path / "raw/media/posters/1.jpg"
    assert poster.read_bytes() == b"picture 1.jpg" and not poster.is_symlink()
    assert poster.samefile(source / "posters/1.jpg") == (how == "link")
    assert len(list(poster.parent.iterdir())) == 1, "a poster without a movie stays behind"


def test_a_bare_source_will_do(source: Path, tmp_path: Path) -> None:
    for name in ("links.csv", "tags.csv", "imdb5000_movie_metadata.csv", "posters/1.jpg", "posters/77.jpg"):
        (source / name).unlink()
    assert write_landing_zone(source, tmp_path / "raw").media == {"image": 0}


def test_the_same_source_gives_the_same_bytes(source: Path, tmp_path: Path) -> None:
    for name in ("once", "again"):
        write_landing_zone(source, tmp_path / name)
    assert fingerprints(tmp_path / "once") == fingerprints(tmp_path / "again")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("ratings.csv", None, r"holds no ratings\.csv \(found: imdb5000"),
        ("ratings.csv", "", r"ratings\.csv is not the CSV"),
        ("ratings.csv", "user,movie\n1,2\n", r"lacks userId, movieId, rating, timestamp \(found: user, movie\)"),
        ("ratings.csv", "userId,movieId,rating,timestamp\n1,1,good,5\n", "rating should hold numbers"),
        ("movies.csv", "movieId,name\n1,x\n", "lacks title, genres"),
    ],
)
def test_a_wrong_source_is_named_and_nothing_written(
    source: Path, tmp_path: Path, name: str, text: str | None, said: str
) -> None:
    (source / name).unlink()
    if text is not None:
        (source / name).write_text(text)
    with pytest.raises(LandingZoneError, match=said):
        write_landing_zone(source, tmp_path / "raw")
    assert not (tmp_path / "raw").exists()


def test_other_mistakes(source: Path, tmp_path: Path) -> None:
    with pytest.raises(LandingZoneError, match="no such folder"):
        write_landing_zone(tmp_path / "nowhere", tmp_path / "raw")
    with pytest.raises(LandingZoneError, match="nights is 0"):
        write_landing_zone(source, tmp_path / "raw", nights=0)
    with pytest.raises(LandingZoneError, match=r"already holds imdb5000\w+\.csv, links\.csv"):
        write_landing_zone(source, source)


@pytest.fixture(params=["100k", "1m", "10m"])
def older(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The three films, one with an accent, and three ratings in an older layout."""
    folder = tmp_path / "ml-old"
    folder.mkdir()
    ratings = [("7", "1", "4", "880000100"), ("8", "2", "3", "880000000"), ("8", "9", "5", "880000200")]
    if request.param == "100k":
        genres = ["unknown", "Action", "Comedy", "Drama"]
        (folder / "u.genre").write_text("".join(f"{name}|{n}\n" for n, name in enumerate(genres)) + "\n")
        rows = ["1|Misérables, Les (1995)|01-Jan-1995||http://x|0|0|1|1", "2|Road: A::B (1999)|||http://y|1|0|0|0",
                "3|unknown||||1|0|0|0"]  # fmt: skip
        (folder / "u.item").write_text("\n".join(rows) + "\n", "latin-1")
        (folder / "u.data").write_text("".join("\t".join(row) + "\n" for row in ratings))
    else:
        encoding = "latin-1" if request.param == "1m" else "utf-8"
        movies = "1::Misérables, Les (1995)::Comedy|Drama\n2::Road: A::B (1999)::(no genres listed)\n3::unknown::\n"
        (folder / "movies.dat").write_text(movies, encoding)
        (folder / "ratings.dat").write_text("".join("::".join(row) + "\n" for row in ratings))
        (folder / "tags.dat").write_text("7::1::Sad::880000100\n8::1::sad::880000100\n8::1::a::b::880000100\n")
    return folder


def test_older_layouts(older: Path, tmp_path: Path) -> None:
    summary = write_landing_zone(older, tmp_path / "raw", nights=1)
    movies, ratings = rows_that_a_night_accepts(tmp_path / "raw")
    assert [(row["item_id"], row["title"], row["tags"], row["category"]) for row in movies] == [
        ("1", "Les Misérables (1995)", ["Comedy", "Drama"], "Comedy"),
        ("2", "Road: A::B (1999)", [], None),
        ("3", "unknown", [], None),
    ]
    assert [(row["user_id"], row["item_id"], row["value"], row["timestamp"].timestamp()) for row in ratings] == [
        ("8", "2", 3.0, 880000000),
        ("7", "1", 4.0, 880000100),
    ]
    assert summary.left_out == {"events of unknown items": 1}
    assert str(summary).endswith("left out:\n  1 events of unknown items")


def test_tags_of_older_layouts(older: Path, tmp_path: Path) -> None:
    if not (older / "tags.dat").exists():
        with pytest.raises(LandingZoneError, match="holds no tags"):
            write_landing_zone(older, tmp_path / "raw", tags=True)
        return
    write_landing_zone(older, tmp_path / "raw", tags=True)
    assert items(tmp_path / "raw")["1"]["tags"] == ["Comedy", "Drama", "sad", "a::b"]


def test_a_layout_that_is_none_and_one_that_is_not_whole(older: Path, tmp_path: Path) -> None:
    ratings = next(path for path in older.iterdir() if path.name in ("u.data", "ratings.dat"))
    ratings.write_text(ratings.read_text() + "cut\n")
    with pytest.raises(LandingZoneError, match=r"line 4: 1 cells; expected userId, movieId, rating, timestamp"):
        write_landing_zone(older, tmp_path / "raw")
    ratings.unlink()
    with pytest.raises(LandingZoneError, match=rf"holds no {ratings.name} \(found: "):
        write_landing_zone(older, tmp_path / "raw")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/notes.txt").write_text("x")
    expected = (
        r"found: notes\.txt\); expected ratings\.csv and movies\.csv, or ratings\.dat and movies\.dat, or u\.data"
    )
    with pytest.raises(LandingZoneError, match=expected):
        write_landing_zone(tmp_path / "other", tmp_path / "raw")
    assert not (tmp_path / "raw").exists()


def test_a_night_accepts_all_that_is_written(source: Path, tmp_path: Path) -> None:
    write_landing_zone(source, tmp_path / "raw", tags=True)
    movies, ratings = rows_that_a_night_accepts(tmp_path / "raw")
    assert (len(movies), len(ratings)) == (4, 4)


def test_rows_that_are_sorted_in_many_runs_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "ml"
    source.mkdir()
    (source / "movies.csv").write_text("movieId,title,genres\n" + "".join(f"{i},M{i},Drama\n" for i in range(50)))
    rows = "".join(f"{i % 7},{i % 50},4,{1000000000 + i * 37 % 101}\n" for i in range(400))
    (source / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + rows)
    write_landing_zone(source, tmp_path / "once")
    monkeypatch.setattr(importing, "RUN_CHARS", 2000)
    write_landing_zone(source, tmp_path / "runs")
    assert fingerprints(tmp_path / "once") == fingerprints(tmp_path / "runs")
    times = [seconds(row["timestamp"]) for row in read_rows(tmp_path / "runs", "interactions")]
    assert times == sorted(1000000000 + i * 37 % 101 for i in range(400))
    monkeypatch.setattr(importing, "ROWS_PER_FILE", 100)
    write_landing_zone(source, tmp_path / "parts", nights=1)
    found = sorted((tmp_path / "parts/interactions/ds=2026-11-07").iterdir())
    assert [len(path.read_text().splitlines()) for path in found] == [100, 100, 100, 100]


@pytest.mark.parametrize(
    ("published", "natural", "year"),
    [
        ("Matrix, The (1999)", "The Matrix (1999)", 1999),
        ("City of Lost Children, The (Cité des enfants perdus, La) (1995)",
         "The City of Lost Children (La Cité des enfants perdus) (1995)", 1995),
        ("Avventura, L' (Adventure, The) (1960)", "L'Avventura (The Adventure) (1960)", 1960),
        ("Good, the Bad and the Ugly, The (1966)", "The Good, the Bad and the Ugly (1966)", 1966),
        ("Babylon 5", "Babylon 5", None),
        ("Shows (2006\u20132007)", "Shows (2006)", 2006),
        ("2001: A Space Odyssey (1968) ", "2001: A Space Odyssey (1968)", 1968),
    ],
)  # fmt: skip
def test_titles_as_people_say_them(published: str, natural: str, year: int | None) -> None:
    assert natural_title(published) == (natural, year)


@given(st.text(alphabet="abc XYZ'éß-", min_size=1).map(str.strip).filter(bool), st.integers(1900, 2030))
def test_a_plain_title_stays_as_it_is(title: str, year: int) -> None:
    assert natural_title(f"{title} ({year})") == (f"{title} ({year})", year)


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason=f"ml-latest-small is not at {PUBLISHED}; set NIGHTWEAVE_TEST_DATA")
def test_the_published_data_comes_through_whole(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    summary = write_landing_zone(PUBLISHED, raw)
    assert (summary.items, summary.users, summary.interaction_rows) == (9742, 610, 100_836)
    assert summary.media == {"image": 4888} and len(list((raw / "media/posters").iterdir())) == 4888
    found = items(raw)
    assert len(found) == 9742
    assert found["2571"]["title"] == "The Matrix (1999)" and found["2571"]["attributes"]["year"] == "1999"
    assert sum("image_uris" in row for row in found.values()) == 4888
    assert not any(path.is_symlink() for path in raw.rglob("*"))
    events = read_rows(raw, "interactions")
    assert len(events) == 100_836 and {event["event"] for event in events} == {"rating"}
    assert sum(event["value"] >= 4 for event in events) == 48_580
