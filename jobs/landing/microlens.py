"""The importer of MicroLens (50k, 100k, 1M and other sizes), a data set of short films.

The source folder must hold `MicroLens-<size>_pairs.csv` (user, item, time); optional are
`MicroLens-<size>_title_en.csv` or `_titles.csv` (item, title) and the folders `MicroLens-<size>_covers`, `_audios` and
`_videos`, whose files are named by item. The prefix `MicroLens-<size>_` may be absent.

Not read are `_pairs.tsv`, which has no times, and `_likes_and_views.txt`, which sums up what is to be predicted.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from jobs.landing.importing import LAST_NIGHT, Media, found_in, write_import
from jobs.landing.raw import LandingZoneError
from jobs.landing.writing import Summary

_NAME = re.compile(
    r"(?:microlens-?(?P<size>[0-9a-z]+)_)?(?P<what>pairs\.csv|title_en\.csv|titles?\.csv|covers?|audios?|videos?)",
    re.IGNORECASE,
)
_FOLDERS = {"image": "cover", "audio": "audio", "video": "video"}
_TITLE = re.compile(r"(\d+),(.*)", re.DOTALL)
_PAIR = re.compile(r'"?(\d+)"?,"?(\d+)"?,"?(\d{1,18})(?:\.0)?"?')
_SECONDS_END = 10**11
"""A time from here on is in milliseconds, before it in seconds."""


def write_landing_zone(source: Path, raw: Path, *, nights: int = 3, last_night: date = LAST_NIGHT) -> Summary:
    """Write `source` under `raw`: every film that has a title or a file as an item, every pair as an event `like`.

    A pair stands for a comment that a user wrote under a film. It is imported as `like`, since the data set's authors
    take it for a positive example, which a `view` is only in part.

    Args:
        raw: a folder that is new or empty.
        nights, last_night: as in `writing.write_import`, which assigns the pairs to nights.

    Raises:
        LandingZoneError: `source` is not MicroLens, holds several sizes, `raw` is not empty, or an argument is out of
            range.
    """
    found = _found(source)
    left_out: Counter[str] = Counter()
    media = {
        f"{kind}_uris": Media(found.get(folder), raw, kind=kind, name=f"{folder}s") for kind, folder in _FOLDERS.items()
    }
    titles = next((found[name] for name in ("title_en.csv", "titles.csv", "title.csv") if name in found), None)
    return write_import(
        raw,
        items=_items(titles, media, left_out=left_out),
        events=_events(found["pairs.csv"], left_out=left_out),
        nights=nights,
        last_night=last_night,
        media=list(media.values()),
        left_out=left_out,
    )


def _found(source: Path) -> dict[str, Path]:
    """What lies in the folder, by its name in lower case without prefix and, of folders, without the plural's s.

    Raises:
        LandingZoneError: there are no pairs, or there is more than one of a kind.
    """
    found: dict[str, Path] = {}
    for path in sorted(source.iterdir()) if source.is_dir() else ():
        if match := _NAME.fullmatch(path.name):
            what = match["what"].lower()
            what = what if what.endswith(".csv") else what.removesuffix("s")
            if what in found:
                raise LandingZoneError(
                    f"{source} holds {found[what].name} and {path.name}; give a folder of one size of MicroLens"
                )
            found[what] = path
    if "pairs.csv" not in found:
        raise LandingZoneError(
            f"{source} holds no MicroLens-<size>_pairs.csv (found: {found_in(source)}); pairs.tsv will not do, since "
            "it has no times"
        )
    return found


def _items(titles: Path | None, media: Mapping[str, Media], *, left_out: Counter[str]) -> Iterator[dict[str, Any]]:
    """Films with a title in the order of the titles, then those that only have files."""
    language = {"language": "en"} if titles and titles.name.lower().endswith("title_en.csv") else {}
    for identifier, title in _titles(titles, left_out=left_out) if titles else ():
        row: dict[str, Any] = {"item_id": identifier, "title": title, **(language if title else {})}
        row |= {field: medium.take(identifier) for field, medium in media.items()}
        yield {name: value for name, value in row.items() if value}
    rest = {identifier for medium in media.values() for identifier in medium.waiting if identifier.isdecimal()}
    for identifier in sorted(rest, key=lambda digits: (len(digits), digits)):
        left_out["titles missing, each of one item"] += 1
        uris = {field: medium.take(identifier) for field, medium in media.items()}
        yield {"item_id": identifier, **{field: value for field, value in uris.items() if value}}


def _titles(path: Path, *, left_out: Counter[str]) -> Iterator[tuple[str, str]]:
    """Item and title, which is all after the first comma, in quotes or not.

    A line that does not begin with a number and a comma goes on with the title before it, so that a quote which is
    never closed costs no other title.
    """
    lines: list[str] = []
    identifier = None
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file):
            if found := _TITLE.fullmatch(line):
                if identifier is not None:
                    yield identifier, _unquoted(lines)
                identifier, lines = found[1], [found[2]]
            elif identifier is not None:
                lines.append(line)
            elif number:
                left_out["lines of titles without an item"] += 1
    if identifier is not None:
        yield identifier, _unquoted(lines)


def _unquoted(lines: Sequence[str]) -> str:
    text = "".join(lines).strip()
    quoted = len(text) > 1 and text[0] == text[-1] == '"'
    return text[1:-1].replace('""', '"').strip() if quoted else text


def _events(path: Path, *, left_out: Counter[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file):
            if found := _PAIR.fullmatch(line.strip()):
                user, item, time = found[1], found[2], int(found[3])
                micros = time * (1_000_000 if time < _SECONDS_END else 1000)
                yield micros, {"user_id": user, "item_id": item, "event": "like"}
            elif number and line.strip():
                left_out["pairs that are not user, item, time"] += 1
