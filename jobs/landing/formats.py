"""Record files by format: JSON Lines and JSON; `csv_rows` has CSV, `parquet` Parquet.

Each reader yields records with their positions, yields what it cannot read as a `Refusal` in its place, and returns how
many records the file holds, counted apart from what it parsed: by the lines of a text, the footer of a Parquet file.
"""

import json
import re
from collections.abc import Generator, Iterator
from typing import Any

from jobs.landing.refusal import Refusal
from jobs.landing.text import NOT_UTF8, SPACE, Tally, lines
from schemas.config import RecordFiles

Reader = Generator[tuple[int, dict[str, Any] | Refusal], None, int | None]

_BOM = b"\xef\xbb\xbf"
_BLANK = SPACE.encode()
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_INNERMOST = re.compile(rb"\[[^\[\]{}]*\]|\{[^\[\]{}]*\}")


def json_lines(source: Iterator[bytes], limits: RecordFiles) -> Reader:
    """Read JSON Lines: one object a line."""
    tally = Tally()
    for position, line in enumerate(lines(tally.tap(source), limits.max_record_bytes), 1):
        if line.isspace():
            continue
        if len(line) > limits.max_record_bytes:
            detail = f"more than {limits.max_record_bytes} bytes without a line end"
            yield position, Refusal("record_too_long", detail)
        else:
            yield position, _json_record(line)
    return tally.lines


def json_text(source: Iterator[bytes], limits: RecordFiles) -> Reader:
    """Read what is called JSON: JSON Lines, or one document that is an object or an array of them."""
    first = next(source, b"")
    whole = _with_first(first, source)
    read = json_document if is_document(first) else json_lines
    return (yield from read(whole, limits))


def is_document(text: bytes) -> bool:
    """Return whether what is called JSON, by how it begins, is one document; else it is JSON Lines."""
    line = text.strip(_BLANK).partition(b"\n")[0].strip(_BLANK)
    return line.startswith(b"[") or line == b"{"


def json_document(source: Iterator[bytes], limits: RecordFiles) -> Reader:
    """Read one JSON document, an object or an array of them; it is held in memory, so it may be as long as a record."""
    pieces: list[bytes] = []
    for block in source:
        pieces.append(block)
        if sum(map(len, pieces)) > limits.max_record_bytes:
            detail = f"more than {limits.max_record_bytes} bytes; write one object a line"
            raise Refusal("document_too_large", detail, rows=None)
    document = b"".join(pieces)
    try:
        value = json.loads(document.decode())
    except (ValueError, RecursionError) as error:
        raise Refusal("not_json", f"{_cause(error)}; where its records begin and end is not known", rows=None) from None
    for position, record in enumerate(value if isinstance(value, list) else [value], 1):
        yield position, _object(record)
    return _elements(document) if isinstance(value, list) else 1


def _with_first(first: bytes, source: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from source


def _json_record(line: bytes) -> dict[str, Any] | Refusal:
    try:
        return _object(json.loads(line.removeprefix(_BOM).decode()))
    except UnicodeDecodeError as error:
        return Refusal("not_utf8", _cause(error))
    except (ValueError, RecursionError) as error:
        return Refusal("not_json", _cause(error))


def _object(value: Any) -> dict[str, Any] | Refusal:
    if isinstance(value, dict):
        return value
    return Refusal("not_an_object", f"expected a JSON object, got {type(value).__name__}")


def _cause(error: Exception) -> str:
    """Why a text is no JSON, without quoting it."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} (character {error.pos + 1})"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start + 1} is {NOT_UTF8}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _elements(document: bytes) -> int:
    """How many elements the array has that a document is, counted by its brackets and commas alone."""
    flat = _STRINGS.sub(b"0", document).strip(_BLANK)[1:-1]
    found = 1
    while found:
        flat, found = _INNERMOST.subn(b"0", flat)
    return flat.count(b",") + 1 if flat.strip(_BLANK) else 0
