"""Reads a landing zone back with nothing of the project's own, the way a stranger would."""

import csv
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq


def fingerprints(raw: Path) -> dict[str, str]:
    """SHA-256 of every file, by its path in RAW."""
    files = sorted(path for path in raw.rglob("*") if path.is_file())
    return {str(path.relative_to(raw)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def read_rows(raw: Path, kind: str) -> list[dict[str, Any] | None]:
    """All rows of `items` or `interactions`, by night and file; None for a line that is not JSON."""
    return [row for _, row in rows_by_night(raw, kind)]


def rows_by_night(raw: Path, kind: str) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """The same with each row's night (YYYY-MM-DD)."""
    for path in sorted((raw / kind).glob("ds=*/*")):
        for row in _READERS[path.suffix](path):
            yield path.parent.name.removeprefix("ds="), row


def good_events(raw: Path) -> list[dict[str, Any]]:
    """The interactions that make sense, `seconds` (epoch) and `ds` added, repeated ones once."""
    seen: dict[tuple[Any, ...], dict[str, Any]] = {}
    for night, row in rows_by_night(raw, "interactions"):
        if row and row.get("item_id") and row["event"] != "hover" and row["timestamp"] != "yesterday evening":
            row |= {"seconds": seconds(row["timestamp"]), "ds": night}
            seen.setdefault((row["user_id"], row["item_id"], row["event"], row["seconds"]), row)
    return list(seen.values())


def seconds(timestamp: str | int) -> int:
    """Epoch seconds of a timestamp in any notation that the contract accepts."""
    if str(timestamp).isdecimal():
        number = int(timestamp)
        return number // 1000 if number > 10**11 else number
    return int(datetime.fromisoformat(str(timestamp)).timestamp())


def day(epoch: int) -> str:
    return datetime.fromtimestamp(epoch, UTC).date().isoformat()


def _jsonl(path: Path) -> list[dict[str, Any] | None]:
    return [_parsed(line) for line in path.read_text("utf-8").splitlines()]


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        return None


def _csv(path: Path) -> list[dict[str, Any] | None]:
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: value for name, value in row.items() if value != ""} for row in csv.DictReader(file)]


def _parquet(path: Path) -> list[dict[str, Any] | None]:
    return list(pq.read_table(path).to_pylist())


_READERS = {".jsonl": _jsonl, ".csv": _csv, ".parquet": _parquet}
