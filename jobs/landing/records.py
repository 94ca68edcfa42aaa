"""Parsing and cleaning: one raw record becomes a row of `items` or `interactions`, or is refused with a reason."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from features.text.nlp.language import detect_language
from features.text.nlp.normalise import clean_text
from jobs.landing.raw import Refusal
from schemas.config import Clean, Events

ITEM_FIELDS = frozenset(
    {"item_id", "title", "description", "category", "tags", "language", "price", "attributes"}
    | {"image_uris", "audio_uris", "video_uris", "updated_at", "deleted"}
)
INTERACTION_FIELDS = frozenset({"user_id", "item_id", "timestamp", "event", "value", "text"})
MAX_ID_CHARS = 512
FUTURE_LIMIT = timedelta(days=2)
"""A timestamp may be as late as the end of the day after its night, since clocks and time zones differ."""


def item(record: Mapping[str, Any], *, config: Clean) -> dict[str, Any]:
    """Return the row of `items` for a raw record, without media keys.

    Raises:
        Refusal: `item_id` is missing, or a field has a value of a wrong type.
    """
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
        "updated_at": _timestamp(record["updated_at"], "updated_at") if record.get("updated_at") is not None else None,
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
    event = str(record.get("event") or "").strip().lower()
    event = events.aliases.get(event, event)
    if event not in events.weights:
        raise Refusal("unknown_event", f"event {record.get('event')!r}; expected one of {', '.join(events.weights)}")
    text = _text(record, "text", config)
    timestamp = _timestamp(record.get("timestamp"), "timestamp")
    if timestamp.date() >= night + FUTURE_LIMIT:
        raise Refusal("timestamp_in_future", f"{timestamp.isoformat()} in the night of {night}")
    return {
        "user_id": _identifier(record, "user_id"),
        "item_id": _identifier(record, "item_id"),
        "timestamp": timestamp,
        "event": event,
        "value": _number(record.get("value"), "value"),
        "text": text or None,
        "text_key": _key(text),
    }


def digest(row: Mapping[str, Any]) -> str:
    """Return a hash of all values of a row, 32 hex digits; rows of the same digest are duplicates."""
    return hashlib.sha256(json.dumps(row, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _key(text: str) -> str | None:
    """Content key of a text: SHA-256 of its UTF-8 bytes, hex; None for an empty one."""
    return hashlib.sha256(text.encode()).hexdigest() if text else None


def _identifier(record: Mapping[str, Any], field: str) -> str:
    value = record.get(field)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise Refusal(f"{field}_missing", f"{field} is {value!r}; expected a string or a whole number")
    identifier = clean_text(str(value))
    if len(identifier) > MAX_ID_CHARS:
        raise Refusal(f"{field}_too_long", f"{len(identifier)} characters; at most {MAX_ID_CHARS}")
    return identifier


def _text(record: Mapping[str, Any], field: str, config: Clean) -> str:
    value = record.get(field)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Refusal(f"{field}_type", f"{field} is a {type(value).__name__}; expected a string")
    return clean_text(str(value))[: config.max_text_chars]


def _strings(record: Mapping[str, Any], field: str, *, clean: bool = True) -> list[str]:
    """A list of strings, each once, in order; a bare string is a list of one."""
    value = record.get(field)
    values = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(v, str | int) for v in values):
        raise Refusal(f"{field}_type", f"{field} is {value!r:.100}; expected a list of strings")
    cleaned = (clean_text(str(v)) if clean else str(v) for v in values)
    return list(dict.fromkeys(v for v in cleaned if v))


def _language(record: Mapping[str, Any], text: str) -> str:
    given = record.get("language")
    if isinstance(given, str) and re.fullmatch(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]+)*", given.strip()):
        return re.split("[-_]", given.strip().lower())[0]
    return detect_language(text)


def _number(value: Any, field: str) -> float | None:
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise Refusal(f"{field}_type", f"{field} is {value!r:.100}; expected a number") from None
    if isinstance(value, bool) or not math.isfinite(number):
        raise Refusal(f"{field}_type", f"{field} is {value!r}; expected a finite number")
    return number


def _price(value: Any) -> float | None:
    """A price as a number: `1299`, `"1,299.00"`, `"1.299,00 €"`, `"¥ 59"`; 1 or 2 digits at the end are decimals."""
    if isinstance(value, str):
        found = re.search(r"\d[\d.,'\s]*", value)
        if not found:
            raise Refusal("price_type", f"price is {value!r:.100}; expected a number")
        digits = re.sub(r"[\s']", "", found.group()).rstrip(".,")
        decimal = re.search(r"[.,](\d{1,2})$", digits)
        whole = re.sub(r"[.,]", "", digits[: decimal.start()] if decimal else digits)
        value = f"{'-' if value.strip().startswith('-') else ''}{whole}.{decimal.group(1) if decimal else 0}"
    price = _number(value, "price")
    if price is not None and price < 0:
        raise Refusal("price_negative", f"price is {price}")
    return price


def _attributes(value: Any) -> dict[str, str]:
    """A flat map of strings; a value that is no string is kept as its JSON text."""
    if value is None:
        return {}
    if isinstance(value, list):
        value = dict(value) if all(isinstance(pair, tuple) and len(pair) == 2 for pair in value) else value
    if not isinstance(value, dict):
        raise Refusal("attributes_type", f"attributes is a {type(value).__name__}; expected an object")
    pairs = (
        (str(k), v if isinstance(v, str) else json.dumps(v, ensure_ascii=False, default=str)) for k, v in value.items()
    )
    return dict(sorted(pairs))


def _flag(value: Any) -> bool:
    flags = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, "": False}
    try:
        return flags[str(value).strip().lower()]
    except KeyError:
        raise Refusal("deleted_type", f"deleted is {value!r:.100}; expected true or false") from None


def _timestamp(value: Any, field: str) -> datetime:
    """A time in UTC: ISO 8601 (UTC where it names no offset), or seconds or milliseconds since 1970."""
    try:
        if isinstance(value, datetime):
            parsed = value
        elif isinstance(value, date):
            parsed = datetime(value.year, value.month, value.day)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            parsed = _epoch(value)
        elif isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?", value.strip()) and len(value.strip()) > 8:
            parsed = _epoch(float(value))
        elif isinstance(value, str):
            parsed = datetime.fromisoformat(value.strip())
        else:
            raise ValueError(value)
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise Refusal(f"{field}_type", f"{field} is {value!r:.100}; expected ISO 8601 or seconds since 1970") from None


def _epoch(value: float) -> datetime:
    return datetime.fromtimestamp(value / 1000 if abs(value) >= 1e11 else value, UTC)
