"""The importer of MovieLens in the three layouts in which it is published.

| release | files |
| --- | --- |
| ml-latest, ml-latest-small, 20M, 25M, 32M | `movies.csv`, `ratings.csv`; optional are `links.csv`, `tags.csv` |
| 1M, 10M | `movies.dat`, `ratings.dat`, with `::` between cells; optional is `tags.dat` |
| 100K | `u.item`, with bars, and `u.data`, with tabs; `u.genre` |

Beside any of them may lie `posters/<movie>.jpg`, and `imdb5000_movie_metadata.csv` (plot keywords by IMDb id).
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal

from jobs.landing.importing import LAST_NIGHT, Media, found_in, write_import
from jobs.landing.raw import LandingZoneError
from jobs.landing.writing import Summary

SECOND = 1_000_000
LAYOUTS = {"csv": ("ratings.csv", "movies.csv"), "dat": ("ratings.dat", "movies.dat"), "100k": ("u.data", "u.item")}
_NO_GENRE = ("(no genres listed)", "unknown")
_KEYWORDS = "imdb5000_movie_metadata.csv"
_YEAR = re.compile(r"\s*\((\d{4})(?:[-\u2013]\d{0,4})?\)\s*$")
_ARTICLES = "The|A|An|La|Le|Les|L'|Un|Une|El|Los|Las|Il|Lo|Gli|I|Der|Die|Das|Ein|Eine|Det|Den|De|O|Os|As"
_TRAILING_ARTICLE = re.compile(rf"([^()]+), ({_ARTICLES})(?=\s*(?:[()]|$))")


@dataclass(frozen=True)
class _Movie:
    identifier: str
    title: str
    genres: Sequence[str] = field(default_factory=list)


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

    Args:
        source: a folder in one of the `LAYOUTS`.
        raw: a folder that is new or empty.
        nights, last_night: as in `writing.write_import`, which assigns the ratings to nights.
        tags: add users' tags to the item tags. Off by default, because they leak: they were written by the users
            whose ratings are to be predicted, often after they had rated, so held-out figures come out too good.
        posters: `link` makes hard links (copies where the file system cannot), `copy` always copies.

    Raises:
        LandingZoneError: `source` is not MovieLens, `raw` is not empty, or an argument is out of range.
    """
    if posters not in ("link", "copy"):
        raise LandingZoneError(f'posters is "{posters}"; give "link" or "copy"')
    layout = _layout(source)
    left_out: Counter[str] = Counter()
    media = Media(source / "posters", raw, kind="image", name="posters", how=posters)
    return write_import(
        raw,
        items=_items(source, layout, tags=tags, posters=media),
        events=_ratings(source, layout),
        nights=nights,
        last_night=last_night,
        media=[media],
        left_out=left_out,
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


def _layout(source: Path) -> str:
    """The key in `LAYOUTS` of which `source` has the files."""
    for layout, names in LAYOUTS.items():
        present = [name for name in names if (source / name).is_file()]
        if present:
            for name in names:
                if name not in present:
                    raise LandingZoneError(
                        f"{source} holds no {name} (found: {found_in(source)}); {present[0]} needs it beside it"
                    )
            return layout
    expected = ", or ".join(" and ".join(names) for names in LAYOUTS.values())
    raise LandingZoneError(f"{source} is no folder of MovieLens (found: {found_in(source)}); expected {expected}")


def _rows(source: Path, name: str, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Line and cells of the rows of a file, those of `columns` in that order.

    Args:
        columns: names in the header of a CSV file; other formats have no header, and their cells stand in this order.
    """
    rows = _csv_rows(source / name, columns) if name.endswith(".csv") else _plain_rows(source / name, len(columns))
    for line, cells in rows:
        if len(cells) != len(columns):
            raise LandingZoneError(
                f"{source / name}, line {line}: {len(cells)} cells; expected {', '.join(columns)}; download it anew"
            )
        yield line, cells


def _csv_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = next(reader, None)
            if header is None:
                raise LandingZoneError(f"{path} is not the CSV that MovieLens publishes: it is empty; download it anew")
            if missing := [column for column in columns if column not in header]:
                raise LandingZoneError(
                    f"{path} lacks {', '.join(missing)} (found: {', '.join(header)}); "
                    f"expected the columns {', '.join(columns)}"
                )
            places = [header.index(column) for column in columns]
            for cells in reader:
                if cells:
                    yield reader.line_num, [cells[p] for p in places] if len(cells) == len(header) else cells[:1]
    except (csv.Error, UnicodeDecodeError) as error:
        raise LandingZoneError(f"{path} is not the CSV that MovieLens publishes: {error}; download it anew") from error


def _plain_rows(path: Path, width: int) -> Iterator[tuple[int, list[str]]]:
    """Rows of a file without a header; UTF-8, or line by line Latin-1, as the older releases are."""
    delimiter = {".dat": "::", ".data": "\t"}.get(path.suffix, "|")
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                text = line.decode()
            except UnicodeDecodeError:
                text = line.decode("latin-1")
            if text := text.rstrip("\r\n"):
                cells = text.split(delimiter)
                if len(cells) > width and path.suffix == ".dat":  # a title or a tag, the last but one, may hold it
                    cells = [*cells[: width - 2], delimiter.join(cells[width - 2 : -1]), cells[-1]]
                yield number, cells


def _ratings(source: Path, layout: str) -> Iterator[tuple[int, dict[str, Any]]]:
    columns = ["userId", "movieId", "rating", "timestamp"]
    name = LAYOUTS[layout][0]
    for line, (user, movie, rating, timestamp) in _rows(source, name, columns):
        try:
            time, value = int(timestamp) * SECOND, float(rating)
        except ValueError:
            raise LandingZoneError(
                f"{source / name}, line {line}: rating should hold numbers only, and timestamp whole ones; "
                "repair it or download it anew"
            ) from None
        yield time, {"user_id": user, "item_id": movie, "event": "rating", "value": value}


def _movies(source: Path, layout: str) -> Iterator[_Movie]:
    name = LAYOUTS[layout][1]
    if layout == "100k":
        genres = _genres(source)
        columns = ["movieId", "title", "release date", "video release date", "IMDb URL", *genres]
        for _, (movie, title, _, _, _, *flags) in _rows(source, name, columns):
            yield _Movie(movie, title, [genre for genre, flag in zip(genres, flags, strict=True) if flag == "1"])
    else:
        for _, (movie, title, genres_) in _rows(source, name, ["movieId", "title", "genres"]):
            yield _Movie(movie, title, _words(genres_))


def _genres(source: Path) -> list[str]:
    """The genres of 100K in the order of their columns in `u.item`."""
    if not (source / "u.genre").is_file():
        raise LandingZoneError(f"{source} holds no u.genre (found: {found_in(source)}); u.item needs it beside it")
    return [name for _, (name, _) in _rows(source, "u.genre", ["genre", "column"])]


def _items(source: Path, layout: str, *, tags: bool, posters: Media) -> Iterator[dict[str, Any]]:
    imdb_ids = _imdb_ids(source)
    keywords = _keywords(source)
    tagged = _tags(source, layout) if tags else {}
    for movie in _movies(source, layout):
        title, year = natural_title(movie.title)
        imdb_id = imdb_ids.get(movie.identifier)
        attributes = {"year": str(year) if year else None, "imdb_id": f"tt{imdb_id:07d}" if imdb_id else None}
        genres = [genre for genre in movie.genres if genre not in _NO_GENRE]
        row = {
            "item_id": movie.identifier,
            "title": title,
            "description": ", ".join(_words(keywords.get(imdb_id, ""))) if imdb_id else "",
            "category": genres[0] if genres else None,
            "tags": list(dict.fromkeys([*genres, *tagged.get(movie.identifier, [])])),
            "language": "en",
            "attributes": {name: value for name, value in attributes.items() if value},
            "image_uris": posters.take(movie.identifier),
        }
        yield {name: value for name, value in row.items() if value not in (None, "", [], {})}


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split("|") if word.strip()]


def _imdb_ids(source: Path) -> dict[str, int]:
    """IMDb number by movie; empty where links.csv is absent."""
    if not (source / "links.csv").is_file():
        return {}
    rows = _rows(source, "links.csv", ["movieId", "imdbId"])
    return {movie: int(imdb_id) for _, (movie, imdb_id) in rows if imdb_id.isdecimal()}


def _keywords(source: Path) -> dict[int, str]:
    """Plot keywords, separated by bars, by IMDb number; empty where the file is absent."""
    if not (source / _KEYWORDS).is_file():
        return {}
    found: dict[int, str] = {}
    for _, (keywords, link) in _rows(source, _KEYWORDS, ["plot_keywords", "movie_imdb_link"]):
        if keywords and (number := re.search(r"/tt(\d+)", link)):
            found.setdefault(int(number[1]), keywords)
    return found


def _tags(source: Path, layout: str) -> dict[str, list[str]]:
    """Users' tags by movie, each tag once in lower case, the most frequent first."""
    name = {"csv": "tags.csv", "dat": "tags.dat"}.get(layout)
    if name is None or not (source / name).is_file():
        raise LandingZoneError(f"{source} holds no tags (found: {found_in(source)}); leave --tags out")
    rows = _rows(source, name, ["userId", "movieId", "tag", "timestamp"])
    counts = Counter((movie, tag.strip().lower()) for _, (_, movie, tag, _) in rows if tag.strip())
    found: dict[str, list[str]] = {}
    for movie, tag in sorted(counts, key=lambda key: (-counts[key], key[1])):
        found.setdefault(movie, []).append(tag)
    return found
