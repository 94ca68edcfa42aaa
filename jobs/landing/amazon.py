"""The importer of Amazon Reviews 2023 (the JSON Lines of one or several categories, gzip or not).

The source folder, or folders directly in it, must hold `meta_<category>.jsonl` and `<category>.jsonl`; optional are
pictures, which the data set names by URL only, as `images/<parent_asin>.jpg` (or of another format).

Left out, because they sum up the very reviews that are to be predicted: `average_rating` and `rating_number`. Left out
because the input contract has no column for them: `details`, `videos`, `bought_together`, `verified_purchase`,
`helpful_vote` and the variant's `asin`.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from jobs.landing.importing import LAST_NIGHT, Media, found_in, read_records, write_import
from jobs.landing.raw import LandingZoneError
from jobs.landing.values import number
from jobs.landing.writing import Summary

_META = re.compile(r"meta_.+\.jsonl(\.gz)?")
_REVIEWS = re.compile(r".+\.jsonl(\.gz)?")
_LARGE = 1e30
_PICTURES = ("hi_res", "large", "thumb")


def write_landing_zone(source: Path, raw: Path, *, nights: int = 3, last_night: date = LAST_NIGHT) -> Summary:
    """Write `source` under `raw`: every product as an item by its `parent_asin`, every review as an event `review`.

    An item's description is its features and then its description; its tags are its categories. A review's value is its
    rating, its text is title and text.

    Args:
        raw: a folder that is new or empty.
        nights, last_night: as in `writing.write_import`, which assigns the reviews to nights.

    Raises:
        LandingZoneError: `source` lacks products or reviews, `raw` is not empty, or an argument is out of range.
    """
    meta, reviews = _files(source)
    left_out: Counter[str] = Counter()
    media = Media(source / "images", raw, kind="image", name="images")
    return write_import(
        raw,
        items=_items(meta, media, left_out=left_out),
        events=_events(reviews, left_out=left_out),
        nights=nights,
        last_night=last_night,
        media=[media],
        left_out=left_out,
    )


def _files(source: Path) -> tuple[list[Path], list[Path]]:
    """The files of products and those of reviews.

    Raises:
        LandingZoneError: there is none of the ones or of the others.
    """
    found = sorted(path for pattern in ("*", "*/*") for path in source.glob(pattern) if _REVIEWS.fullmatch(path.name))
    meta = [path for path in found if _META.fullmatch(path.name)]
    reviews = [path for path in found if path not in meta]
    if not meta or not reviews:
        raise LandingZoneError(
            f"{source} holds {len(meta)} files of products and {len(reviews)} of reviews (found: {found_in(source)}); "
            "expected meta_<category>.jsonl and <category>.jsonl of Amazon Reviews 2023, which may end in .gz"
        )
    return meta, reviews


def _items(files: Sequence[Path], media: Media, *, left_out: Counter[str]) -> Iterator[dict[str, Any]]:
    for record in (record for path in files for record in read_records(path, left_out=left_out, what="products")):
        identifier = _identifier(record.get("parent_asin"))
        if identifier is None:
            left_out["products without parent_asin"] += 1
            continue
        left_out["pictures of products that are URLs"] += _pictures(record.get("images"))
        row = {
            "item_id": identifier,
            "title": _text(record.get("title")),
            "description": "\n".join(_texts(record.get("features")) + _texts(record.get("description"))),
            "category": _text(record.get("main_category")),
            "tags": _texts(record.get("categories")),
            "price": _price(record.get("price"), left_out=left_out),
            "attributes": {"store": store} if (store := _text(record.get("store"))) else {},
            "image_uris": media.take(identifier),
        }
        yield {name: value for name, value in row.items() if value not in (None, "", [], {})}


def _events(files: Sequence[Path], *, left_out: Counter[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    for record in (record for path in files for record in read_records(path, left_out=left_out, what="reviews")):
        user = _identifier(record.get("user_id"))
        item = _identifier(record.get("parent_asin")) or _identifier(record.get("asin"))
        milliseconds, rating = _finite(record.get("timestamp")), _finite(record.get("rating"))
        if user is None or item is None:
            left_out["reviews without user_id or asin"] += 1
        elif milliseconds is None:
            left_out["reviews without a time"] += 1
        else:
            left_out["pictures of reviews that are URLs"] += _pictures(record.get("images"))
            text = "\n".join(filter(None, (_text(record.get("title")), _text(record.get("text")))))
            row = {"user_id": user, "item_id": item, "event": "review", "value": rating, "text": text}
            yield round(milliseconds * 1000), {name: value for name, value in row.items() if value not in (None, "")}


def _identifier(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() and value.isprintable() else None


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _texts(value: Any) -> list[str]:
    """The texts in a list, or one text as a list, without empty ones."""
    return [text for text in map(_text, value if isinstance(value, list) else [value]) if text]


def _finite(value: Any) -> float | None:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and -_LARGE < value < _LARGE
    return value if usable else None


def _price(value: Any, *, left_out: Counter[str]) -> float | None:
    """A price of 0 or more; a text such as `from 12.99` names no price."""
    if value is None or value == "" or value == "None":
        return None
    try:
        price = number(value) if isinstance(value, str) else _finite(value)
    except ValueError:
        price = None
    if price is None or price < 0:
        left_out["prices that are no price"] += 1
        return None
    return price


def _pictures(value: Any) -> int:
    """How many pictures are named by URL: a list of objects of URLs, or an object of lists of URLs."""
    if isinstance(value, Mapping):
        columns = [urls for name in _PICTURES if isinstance(urls := value.get(name), list)]
        return max(map(len, columns), default=0)
    return len(value) if isinstance(value, list) else 0
