"""Parsing and cleaning: one raw record becomes a row of `items`, `interactions` or `given_vectors`, or is refused with
a reason."""

import hashlib
import json
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, get_args
from uuid import UUID

from features.base import Encoder, MediaError
from features.text.nlp.language import detect_language
from features.text.nlp.normalise import clean_text
from jobs.landing.columns import Columns
from jobs.landing.refusal import Refusal
from jobs.landing.values import MISSING, is_missing, listed, mapped, number
from lake.forgotten import KINDS, Subject
from schemas.config import Clean, Events
from schemas.landing import InteractionField, ItemField
from schemas.table import FILES
from schemas.tables import FUTURE_DAYS, NEWCOMER

ITEM_FIELDS = frozenset(get_args(ItemField))
INTERACTION_FIELDS = frozenset(get_args(InteractionField))
VECTOR_FIELDS = frozenset({"item_id", "uri", "vector"})
TYPED_FIELDS = frozenset({"price", "value", "deleted", "updated_at", "timestamp", "attributes"})
"""Fields that are no text, in which a text that stands for a missing value is one."""
FLAGS = {**dict.fromkeys(("true", "1", "yes", "t", "y"), True), **dict.fromkeys(("false", "0", "no", "f", "n"), False)}
NO_ID = ("Cc", "Cs", "Zl", "Zp")
"""Categories of characters that no identifier has: controls, halves of surrogate pairs, separators of lines."""
MAX_ID_CHARS = 512
MAX_WHOLE_FLOAT = 2**53 - 1
FUTURE_LIMIT = timedelta(days=FUTURE_DAYS)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STAMP = re.compile(r"(\d{8})(?:(\d{4}|\d{6})(\d{3})?)?", re.ASCII)
"""Digits that are a date and a time of day: YYYYMMDD, then HHMM or HHMMSS, then milliseconds."""


def columns_of(kind: str, config: Clean) -> Columns:
    """Return the columns of the records of a kind: `items`, `interactions` or `vectors/MODALITY`."""
    if kind == "items":
        return Columns(ITEM_FIELDS, config.columns.items)
    if kind == "interactions":
        return Columns(INTERACTION_FIELDS, config.columns.interactions)
    return Columns(VECTOR_FIELDS, {})


def subjects(record: Mapping[str, Any], columns: Columns) -> Iterator[Subject]:
    """Yield the user and the item that a record under the contract's names is of, as far as it has identifiers."""
    for kind in KINDS:
        if (name := f"{kind}_id") in columns.fields and name in record:
            with suppress(Refusal):
                yield Subject(kind, _identifier(record, name))


def uris(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield the paths of the media files that a record of an item names, as far as they can be read."""
    for medium in FILES:
        with suppress(Refusal):
            yield from _strings(record, f"{medium}_uris", clean=False)


def item(record: Mapping[str, Any], *, night: date, config: Clean) -> dict[str, Any]:
    """Return the row of `items` for a raw record, without media keys.

    Raises:
        Refusal: `item_id` is missing, a field has a value of a wrong type, or `updated_at` is after the night.
    """
    record = _present(record)
    title = _text(record, "title", config)
    description = _text(record, "description", config)
    category = _text(record, "category", config)
    tags = _strings(record, "tags")
    text = "\n".join(part for part in (title, description, category, ", ".join(tags)) if part)
    return {
        "item_id": _identifier(record, "item_id"),
        "title": title,
        "description": description,
        "category": category or None,
        "tags": tags,
        "language": _language(record, f"{title} {description}"),
        "price": _price(record.get("price")),
        "attributes": _attributes(record.get("attributes")),
        "updated_at": _updated_at(record.get("updated_at"), night),
        "deleted": _flag(record.get("deleted", False)),
        "text": text or None,
        "text_key": _key(text),
        "image_uris": _strings(record, "image_uris", clean=False),
        "audio_uris": _strings(record, "audio_uris", clean=False),
        "video_uris": _strings(record, "video_uris", clean=False),
    }


def interaction(record: Mapping[str, Any], *, night: date, events: Events, config: Clean) -> dict[str, Any]:
    """Return the row of `interactions` for a raw record.

    Raises:
        Refusal: a required field is missing, the event is unknown, or the time is unreadable or after the night.
    """
    record = _present(record)
    event = str(record.get("event") or "").strip().lower()
    event = events.aliases.get(event, event)
    if event not in events.weights:
        expected = ", ".join(events.weights)
        raise Refusal("unknown_event", f"event {record.get('event')!r:.100}; expected one of {expected}")
    text = _text(record, "text", config)
    timestamp = _timestamp(record.get("timestamp"), "timestamp", night)
    return {
        "user_id": _user(record),
        "item_id": _identifier(record, "item_id"),
        "timestamp": timestamp,
        "event": event,
        "value": _number(record.get("value"), "value"),
        "text": text or None,
        "text_key": _key(text),
    }


def given_vector(record: Mapping[str, Any], *, encoder: Encoder) -> dict[str, Any]:
    """Return the row of `given_vectors` for a raw record; `vector` as bytes, of float32 in little-endian order.

    Args:
        encoder: the one that is given the vectors; its contract is that of its `decode`.

    Raises:
        Refusal: it names no item and no file, or both, or the vector does not keep the contract.
    """
    record = _present(record)
    owners = [name for name in ("item_id", "uri") if name in record]
    if len(owners) != 1:
        found = "an item_id and a uri" if owners else "neither an item_id nor a uri"
        raise Refusal("vector_owner", f"{found}; expected one of them")
    if owners == ["uri"] and encoder.modality == "text":
        raise Refusal("vector_owner", "a uri; expected an item_id, as a text has no file")
    try:
        vector = encoder.decode(_values(record.get("vector"))).astype("<f4").tobytes()
    except ValueError as error:
        raise Refusal("vector_type", f"a text: {error}; expected a list of {encoder.dim} numbers") from None
    except MediaError as error:
        raise Refusal(error.reason, error.detail) from None
    return {
        "modality": encoder.modality,
        "item_id": _identifier(record, "item_id") if owners == ["item_id"] else None,
        "uri": _uri(record) if owners == ["uri"] else None,
        "content_key": hashlib.sha256(vector).hexdigest(),
        "vector": vector,
    }


def digest(row: Mapping[str, Any]) -> str:
    """Return a hash of all values of a row, 32 hex digits; rows of the same digest are duplicates.

    For a vector its `content_key` stands, as writing out its numbers would take longer than all else.
    """
    values = {name: value for name, value in row.items() if name != "vector"}
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _key(text: str) -> str | None:
    """Content key of a text: SHA-256 of its UTF-8 bytes, hex; None for an empty one."""
    return hashlib.sha256(text.encode()).hexdigest() if text else None


def _present(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record without fields whose value is absent."""
    return {
        name: value
        for name, value in record.items()
        if not (name in TYPED_FIELDS and value.strip() in MISSING if isinstance(value, str) else is_missing(value))
    }


def _identifier(record: Mapping[str, Any], field: str) -> str:
    """An identifier, character for character; a whole number of any type is its digits."""
    value = _plain(record.get(field))
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Refusal(f"{field}_missing", f"{field} is {value!r:.100}; expected a string or a whole number")
    identifier = str(value)
    if not identifier.isprintable() and (wrong := [c for c in identifier if unicodedata.category(c) in NO_ID]):
        raise Refusal(f"{field}_characters", f"{field} has the character {wrong[0]!r}; expected none of its kind")
    if all(c.isspace() or unicodedata.category(c) == "Cf" for c in identifier):
        raise Refusal(f"{field}_missing", f"{field} is {value!r:.100}; expected a character that can be seen")
    if len(identifier) > MAX_ID_CHARS:
        raise Refusal(f"{field}_too_long", f"{len(identifier)} characters; at most {MAX_ID_CHARS}")
    return identifier


def _user(record: Mapping[str, Any]) -> str:
    """The identifier of a user, which the shelves for anybody do not have."""
    user = _identifier(record, "user_id")
    if user == NEWCOMER:
        raise Refusal("user_id_reserved", f"user_id is {user!r}, which stands for anybody in the published tables")
    return user


def _plain(value: Any) -> Any:
    """A whole number as an int, a UUID and text in bytes as a string; anything else as it is.

    A float that is too large for every whole number to have its own stays one: it may stand for either of two.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, (float, Decimal)) and math.isfinite(value) and value == int(value):
        return int(value) if isinstance(value, Decimal) or abs(value) <= MAX_WHOLE_FLOAT else value
    if isinstance(value, bytes):
        with suppress(UnicodeDecodeError):
            return value.decode()
    return str(value) if isinstance(value, UUID) else value


def _unicode(text: str) -> str:
    """The text without halves of surrogate pairs, as of an emoji cut in two, which are no Unicode."""
    return text if text.isascii() else text.encode("utf-8", "ignore").decode()


def _text(record: Mapping[str, Any], field: str, config: Clean) -> str:
    value = record.get(field)
    if value is None:
        return ""
    if isinstance(value, bytes | UUID | Decimal):
        value = str(_plain(value)) if isinstance(value, Decimal) else _plain(value)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Refusal(f"{field}_type", f"{field} is a {type(value).__name__}; expected a string")
    return clean_text(str(value))[: config.max_text_chars]


def _strings(record: Mapping[str, Any], field: str, *, clean: bool = True) -> list[str]:
    """A list of strings, each once, in order; a bare string is a list of one."""
    if (value := record.get(field)) is None:
        return []
    try:
        values = _values(value)
    except ValueError as error:
        raise Refusal(f"{field}_type", f"{field} is {value!r:.100}: {error}") from None
    values = [_plain(v) for v in values if not is_missing(v)] if isinstance(values, list) else None
    if values is None or not all(isinstance(v, str | int) for v in values):
        raise Refusal(f"{field}_type", f"{field} is {value!r:.100}; expected a list of strings")
    cleaned = (clean_text(str(v)) if clean else _unicode(str(v)) for v in values)
    return list(dict.fromkeys(v for v in cleaned if v))


def _uri(record: Mapping[str, Any]) -> str:
    """The path of a media file, read as items' lists of them are."""
    paths = _strings(record, "uri", clean=False)
    if len(paths) != 1:
        raise Refusal("uri_type", f"uri is {record['uri']!r:.100}; expected the path of one file")
    return paths[0]


def _values(value: Any) -> Any:
    """The value as a list where it is a text.

    Raises:
        ValueError: a text in brackets that is no list.
    """
    if not isinstance(value, str):
        return value
    found = listed(value)
    return [value] if found is None else found


def _language(record: Mapping[str, Any], text: str) -> str:
    given = record.get("language")
    if isinstance(given, str) and re.fullmatch(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]+)*", given.strip()):
        return re.split("[-_]", given.strip().lower())[0]
    return detect_language(text)


def _number(value: Any, field: str) -> float | None:
    """A number, or a text that `values.number` reads as one."""
    if value is None:
        return None
    try:
        found = number(value) if isinstance(value, str) else float(value)
    except (TypeError, ValueError, OverflowError) as error:
        cause = f": {error}" if isinstance(value, str) else ""
        raise Refusal(f"{field}_type", f"{field} is {value!r:.100}; expected a number{cause}") from None
    if isinstance(value, bool) or not math.isfinite(found):
        raise Refusal(f"{field}_type", f"{field} is {value!r:.100}; expected a finite number")
    return found


def _price(value: Any) -> float | None:
    price = _number(value, "price")
    if price is not None and price < 0:
        raise Refusal("price_negative", f"price is {price}")
    return price


def _attributes(value: Any) -> dict[str, str]:
    """A flat map of strings; a value that is no string is kept as its JSON text, an absent one is left out."""
    if value is None:
        return {}
    if isinstance(value, str) and (found := mapped(value)) is not None:
        value = found
    if isinstance(value, list):
        value = dict(value) if all(isinstance(pair, tuple) and len(pair) == 2 for pair in value) else value
    if not isinstance(value, dict):
        raise Refusal("attributes_type", f"attributes is a {type(value).__name__}; expected an object")
    pairs = (
        (_unicode(str(k)), _unicode(v if isinstance(v, str) else json.dumps(v, ensure_ascii=False, default=str)))
        for k, v in value.items()
        if not is_missing(v)
    )
    return dict(sorted(pairs))


def _flag(value: Any) -> bool:
    try:
        return FLAGS[str(_plain(value)).strip().lower()]
    except KeyError:
        raise Refusal("deleted_type", f"deleted is {value!r:.100}; expected true or false") from None


def _updated_at(value: Any, night: date) -> datetime | None:
    return None if value is None else _timestamp(value, "updated_at", night)


def _timestamp(value: Any, field: str, night: date) -> datetime:
    """A moment in UTC, from 1970 to the end of the day after the night; what bears no zone is in UTC."""
    try:
        moment = _moment(value)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Refusal(
            f"{field}_type",
            f"{field} is {value!r:.100}; expected ISO 8601, YYYYMMDD, YYYYMMDDHHMMSS or a number of seconds since 1970",
        ) from None
    if moment < EPOCH:
        raise Refusal(f"{field}_before_1970", f"{field} is {value!r:.100}; expected a time since 1970")
    if moment.date() >= night + FUTURE_LIMIT:
        raise Refusal(f"{field}_in_future", f"{moment.isoformat()} in the night of {night}")
    return moment


def _moment(value: Any) -> datetime:
    """The moment that a value is, without a zone where the value bears none.

    Raises:
        ValueError, OverflowError: it is none.
    """
    if isinstance(value, datetime):
        return datetime.combine(value.date(), value.timetz())  # to microseconds, where it has nanoseconds
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    if isinstance(value, str):
        text = value.strip()
        if not re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII):
            return datetime.fromisoformat(text.removesuffix(" UTC"))
        value = float(text) if "." in text else int(text)
    if isinstance(value, float | Decimal):
        value = int(value) if value == int(value) else float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(value)
    return _stamp(str(value)) or _since_1970(value)


def _stamp(digits: str) -> datetime | None:
    """The moment that digits spell as a calendar does, None where they are a count.

    Of 12 digits only those that begin with 19 or 20 do: the others are milliseconds of the years 1973 to 2001.

    Raises:
        ValueError: they spell no date, or only a year or a month.
    """
    if re.fullmatch(r"(19|20)\d\d(0[1-9]|1[0-2])?", digits):
        raise ValueError(digits)
    found = STAMP.fullmatch(digits)
    if not found or (len(digits) == 12 and not digits.startswith(("19", "20"))) or len(digits) == 15:
        return None
    day, clock, thousandths = found.groups()
    return datetime.fromisoformat(f"{day}T{clock or '0000'}" + (f".{thousandths}" if thousandths else ""))


def _since_1970(count: float) -> datetime:
    """A count of seconds; from 10**11 on of milliseconds, from 10**14 of microseconds, from 10**17 of nanoseconds."""
    if abs(count) < 1e11:
        return EPOCH + timedelta(seconds=count)
    if abs(count) < 1e14:
        return EPOCH + timedelta(milliseconds=count)
    return EPOCH + timedelta(microseconds=count if abs(count) < 1e17 else count // 1000)
