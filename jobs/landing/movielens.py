"""The importer of MovieLens (ml-latest-small, ml-25m and other releases in that format).

The source folder must hold `movies.csv` and `ratings.csv`; optional are `links.csv`, `tags.csv`,
`imdb5000_movie_metadata.csv` (plot keywords by IMDb id) and `posters/<movieId>.jpg`.
"""

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from jobs.landing.raw import LandingZoneError
from jobs.landing.writing import Summary, create_partition, create_raw, write_jsonl

LAST_NIGHT = date(2026, 11, 7)
FIRST_NIGHT_SHARE = 0.96
ROWS_PER_FILE = 1_000_000
_NO_GENRE = "(no genres listed)"
_KEYWORDS = ("plot_keywords", "movie_imdb_link")
_TEXT_COLUMNS = {"title", "genres", "tag", *_KEYWORDS}
_YEAR = re.compile(r"\s*\((\d{4})(?:[-\u2013]\d{0,4})?\)\s*$")
_ARTICLES = "The|A|An|La|Le|Les|L'|Un|Une|El|Los|Las|Il|Lo|Gli|I|Der|Die|Das|Ein|Eine|Det|Den|De|O|Os|As"
_TRAILING_ARTICLE = re.compile(rf"([^()]+), ({_ARTICLES})(?=\s*(?:[()]|$))")


def write_landing_zone(
    source: Path,
    raw: Path,
    *,
    nights: int = 3,
    last_night: date = LAST_NIGHT,
    tags: bool = False,
    posters: Literal["link", "copy"] = "link",
) -> Summary:
    """Write `source` under `raw`: every movie as an item, every rating as an event `rating` with its own timestamp.

    Ratings are assigned to nights in order of time: the first night gets 96% of them, the later ones equal parts of the
    rest. A movie arrives on the night of its first rating, or on the first night if it has none.

    Args:
        raw: a folder that is new or empty.
        last_night: the date of the last of `nights` consecutive partitions.
        tags: add users' tags to the item tags. Off by default, because they leak: they were written by the users
            whose ratings are to be predicted, often after they had rated, so held-out figures come out too good.
        posters: `link` makes hard links (copies where the file system cannot), `copy` always copies.

    Raises:
        LandingZoneError: `source` is not MovieLens, `raw` is not empty, or an argument is out of range.
    """
    if nights < 1:
        raise LandingZoneError(f"nights is {nights}; give 1 or more")
    if posters not in ("link", "copy"):
        raise LandingZoneError(f'posters is "{posters}"; give "link" or "copy"')
    ratings = _read(source, "ratings.csv", ["userId", "movieId", "rating", "timestamp"])
    movies = _movies(source, tags=tags)
    create_raw(raw)
    ratings = ratings.sort_values(["timestamp", "userId", "movieId"], kind="stable", ignore_index=True)
    ratings["night"] = _nights(len(ratings), nights)
    arrival = movies["movieId"].map(ratings.groupby("movieId")["night"].min()).fillna(0).astype(int)
    movies["poster"] = movies["movieId"].map(_copy_posters(source, raw, set(movies["movieId"]), how=posters))
    days = tuple(last_night - timedelta(days=nights - 1 - night) for night in range(nights))
    for night, day in enumerate(days):
        rows = (_item(movie, day) for movie in movies[arrival == night].to_dict("records"))
        write_jsonl(create_partition(raw, "items", day) / "part-00000.jsonl", rows)
        _write_ratings(create_partition(raw, "interactions", day), ratings[ratings["night"] == night])
    return Summary(
        items=len(movies),
        users=int(ratings["userId"].nunique()),
        nights=days,
        item_rows=len(movies),
        interaction_rows=len(ratings),
        media={"image": int(movies["poster"].notna().sum())},
    )


def natural_title(title: str) -> tuple[str, int | None]:
    """Return a title with its article in front and its year, which distinguishes films of one name, and the year.

    >>> natural_title("Matrix, The (1999)")
    ('The Matrix (1999)', 1999)
    """
    found = _YEAR.search(title)
    name = _TRAILING_ARTICLE.sub(_article_first, title[: found.start()] if found else title)
    return (f"{name.strip()} ({found[1]})", int(found[1])) if found else (name.strip(), None)


def _article_first(found: re.Match[str]) -> str:
    name, article = found[1], found[2]
    lead = name[: len(name) - len(name.lstrip())]
    return f"{lead}{article}{'' if article.endswith(chr(39)) else ' '}{name.lstrip()}"


def _read(source: Path, name: str, columns: Sequence[str]) -> pd.DataFrame:
    path = source / name
    if not path.is_file():
        found = ", ".join(sorted(entry.name for entry in source.iterdir())[:8]) if source.is_dir() else "no such folder"
        raise LandingZoneError(
            f"{source} holds no {name} (found: {found or 'nothing'}); give a folder of MovieLens CSV files"
        )
    try:
        table = pd.read_csv(path)
    except (ValueError, pd.errors.ParserError) as error:
        raise LandingZoneError(f"{path} is not the CSV that MovieLens publishes: {error}; download it anew") from error
    missing = [column for column in columns if column not in table]
    if missing:
        raise LandingZoneError(
            f"{path} lacks {', '.join(missing)} (found: {', '.join(map(str, table.columns))}); "
            f"expected the columns {', '.join(columns)}"
        )
    numbers = [column for column in columns if column not in _TEXT_COLUMNS]
    wrong = [column for column in numbers if not pd.api.types.is_numeric_dtype(table[column])]
    if wrong:
        raise LandingZoneError(f"{path}: {', '.join(wrong)} should hold numbers only; repair it or download it anew")
    return table[list(columns)]


def _movies(source: Path, *, tags: bool) -> pd.DataFrame:
    """One row a movie: movieId, title, year, genres (list), imdb_id, keywords (list), tags (list)."""
    movies = _read(source, "movies.csv", ["movieId", "title", "genres"]).drop_duplicates("movieId", ignore_index=True)
    titles = [natural_title(str(title)) for title in movies["title"]]
    movies["title"], movies["year"] = [name for name, _ in titles], [year for _, year in titles]
    movies["genres"] = movies["genres"].replace(_NO_GENRE, "").fillna("").map(_words)
    movies["imdb_id"] = movies["movieId"].map(_imdb_ids(source))
    movies["keywords"] = movies["imdb_id"].map(_keywords(source)).fillna("").map(_words)
    tagged = _tags(source) if tags else pd.Series(dtype=object)
    movies["tags"] = movies["movieId"].map(tagged).map(lambda words: words if isinstance(words, list) else [])
    return movies


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split("|") if word.strip()]


def _imdb_ids(source: Path) -> "pd.Series[float]":
    """IMDb number by movieId; empty where links.csv is absent."""
    if not (source / "links.csv").is_file():
        return pd.Series(dtype=float)
    return _read(source, "links.csv", ["movieId", "imdbId"]).drop_duplicates("movieId").set_index("movieId")["imdbId"]


def _keywords(source: Path) -> "pd.Series[str]":
    """Plot keywords, separated by bars, by IMDb number; empty where the file is absent."""
    name = "imdb5000_movie_metadata.csv"
    if not (source / name).is_file():
        return pd.Series(dtype=str)
    table = _read(source, name, _KEYWORDS).dropna()
    table["imdbId"] = table["movie_imdb_link"].str.extract(r"/tt(\d+)", expand=False).astype(float)
    return table.dropna(subset=["imdbId"]).drop_duplicates("imdbId").set_index("imdbId")["plot_keywords"]


def _tags(source: Path) -> "pd.Series[Any]":
    """Users' tags by movieId, each tag once in lower case, the most frequent first."""
    tagged = _read(source, "tags.csv", ["movieId", "tag"]).dropna()
    tagged["tag"] = tagged["tag"].astype(str).str.strip().str.lower()
    counts = tagged.value_counts().reset_index()
    counts = counts.sort_values(["movieId", "count", "tag"], ascending=[True, False, True])
    return counts.groupby("movieId")["tag"].apply(list)


def _nights(events: int, nights: int) -> np.ndarray:
    """The night of each event, int [events], for events in order of time."""
    first = round(events * FIRST_NIGHT_SHARE) if nights > 1 else events
    later = [np.full(len(part), n) for n, part in enumerate(np.array_split(np.arange(events - first), nights - 1 or 1))]
    return np.concatenate([np.zeros(first, int), *(part + 1 for part in later)])


def _copy_posters(source: Path, raw: Path, known: set[int], *, how: str) -> dict[int, str]:
    """Link or copy the posters of known movies to RAW/media/posters; returns their URIs by movieId."""
    found = sorted((source / "posters").glob("*.jpg"))
    wanted = {int(path.stem): path for path in found if path.stem.isdecimal() and int(path.stem) in known}
    folder = raw / "media" / "posters"
    if wanted:
        folder.mkdir(parents=True)
    for path in wanted.values():
        _copy(path, folder / path.name, how=how)
    return {movie: f"media/posters/{path.name}" for movie, path in wanted.items()}


def _copy(source: Path, target: Path, *, how: str) -> None:
    """A hard link or a copy; never a symbolic link, since media must lie within RAW."""
    if how == "link":
        try:
            os.link(source.resolve(), target)
            return
        except OSError:
            target.unlink(missing_ok=True)
    shutil.copyfile(source, target)


def _item(movie: Mapping[Any, Any], day: date) -> dict[str, Any]:
    attributes = {}
    if pd.notna(movie["year"]):
        attributes["year"] = str(int(movie["year"]))
    if pd.notna(movie["imdb_id"]):
        attributes["imdb_id"] = f"tt{int(movie['imdb_id']):07d}"
    row = {
        "item_id": str(movie["movieId"]),
        "title": movie["title"],
        "description": ", ".join(movie["keywords"]),
        "category": movie["genres"][0] if movie["genres"] else None,
        "tags": list(dict.fromkeys(movie["genres"] + movie["tags"])),
        "language": "en",
        "attributes": attributes,
        "image_uris": [movie["poster"]] if pd.notna(movie["poster"]) else [],
        "updated_at": f"{day.isoformat()}T00:00:00Z",
    }
    return {name: value for name, value in row.items() if value not in (None, "", [], {})}


def _write_ratings(folder: Path, ratings: pd.DataFrame) -> None:
    for number, start in enumerate(range(0, max(1, len(ratings)), ROWS_PER_FILE)):
        part = ratings.iloc[start : start + ROWS_PER_FILE]
        rows = pd.DataFrame(
            {
                "user_id": part["userId"].astype(str),
                "item_id": part["movieId"].astype(str),
                "timestamp": pd.to_datetime(part["timestamp"], unit="s").dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "event": "rating",
                "value": part["rating"].astype(float),
            }
        )
        rows.to_json(folder / f"part-{number:05d}.jsonl", orient="records", lines=True, force_ascii=False)
